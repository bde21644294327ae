/* Found as libcuda.so.1 before the real one, it makes the machine one without a CUDA driver: it
 * has none of its functions. */
