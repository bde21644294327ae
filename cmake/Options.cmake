# Compiler flags that every target of the project shares, as one interface target.
add_library(starlane_options INTERFACE)
target_include_directories(starlane_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(starlane_options INTERFACE _GNU_SOURCE)
target_compile_options(starlane_options INTERFACE
  $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wvla -Wformat=2 -Wundef -Wwrite-strings -fno-strict-aliasing -fno-omit-frame-pointer>)
if(STARLANE_WERROR)
  target_compile_options(starlane_options INTERFACE $<$<COMPILE_LANGUAGE:C>:-Werror>)
endif()
if(STARLANE_SANITIZE)
  target_compile_options(starlane_options INTERFACE -fsanitize=${STARLANE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(starlane_options INTERFACE -fsanitize=${STARLANE_SANITIZE})
endif()

# A room of the house: an object library of every .c file in the folder. LINK names what it may use.
function(starlane_room name)
  cmake_parse_arguments(ROOM "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC starlane_options ${ROOM_LINK})
endfunction()
