/* Defects on purpose: SL_PLANT(name) is true where that defect of plants.def is switched on, and
 * the constant 0 in every build but the one that tests/planted makes. */
#ifndef SL_RUNTIME_PLANT_H
#define SL_RUNTIME_PLANT_H

#ifdef SL_PLANTS

enum sl_plant {
    SL_PLANT_none,
#define SL_DEFECT(name, what) SL_PLANT_##name,
#include "runtime/plants.def"
#undef SL_DEFECT
    SL_PLANTS_COUNT
};

extern int sl_planted; /* an sl_plant; set while nothing runs */

#define SL_PLANT(name) (sl_planted == SL_PLANT_##name)

#else
#define SL_PLANT(name) 0
#endif

#endif
