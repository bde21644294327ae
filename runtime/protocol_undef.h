/* Clears the macros of a .def pass. */
#undef SL_MESSAGE
#undef SL_RECORD
#undef SL_U8
#undef SL_U16
#undef SL_U32
#undef SL_U64
#undef SL_I32
#undef SL_I64
#undef SL_F64
#undef SL_ADDR
#undef SL_BOOL
#undef SL_TEXT
#undef SL_BYTES
#undef SL_BLOB
#undef SL_LIST
#undef SL_END
