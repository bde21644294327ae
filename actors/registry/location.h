/* Where a node is: words for people and placement, coordinates for distances. */
#ifndef SL_REGISTRY_LOCATION_H
#define SL_REGISTRY_LOCATION_H

#include <stdbool.h>

#define SL_LOCATION_NAME_MAX 64 /* bytes with the NUL */

/* Plain data: copied by value. Empty names mean "not given". */
typedef struct sl_location {
    char region[SL_LOCATION_NAME_MAX];
    char zone[SL_LOCATION_NAME_MAX];
    double latitude;  /* degrees, north positive; only with has_coordinates */
    double longitude; /* degrees, east positive; only with has_coordinates */
    bool has_coordinates;
} sl_location;

#endif
