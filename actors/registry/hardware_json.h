/* The registry's facts as data, for `starlane topo --json`. */
#ifndef SL_REGISTRY_HARDWARE_JSON_H
#define SL_REGISTRY_HARDWARE_JSON_H

#include <jansson.h>

#include "actors/registry/location.h"
#include "actors/registry/offer.h"
#include "actors/registry/ucu.h"

/* The machine: hostname, cpu, memory, accelerators, every UCU term with its formula, warnings.
 * Unknown figures are absent, never 0. A new reference, or NULL when out of memory. */
json_t *sl_hardware_to_json(const sl_hardware *hardware, const sl_ucu *ucu);

/* A rank's offer; `hardware` is the one it was made from. */
json_t *sl_offer_to_json(const sl_offer *offer, const sl_hardware *hardware);

/* Region, zone and coordinates that are given. */
json_t *sl_location_to_json(const sl_location *location);

#endif
