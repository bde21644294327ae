#include "runtime/plant.h"

#ifdef SL_PLANTS
int sl_planted;
#else
/* A file of nothing is no C. */
typedef int sl_no_plants;
#endif
