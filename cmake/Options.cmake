# Compiler flags that every target of the project shares, as one interface target.
option(STARLANE_WERROR "Treat compiler warnings as errors" ON)
option(STARLANE_LTO "Optimise across files when linking" OFF)
option(STARLANE_FUZZ "Build the fuzz programs (needs clang)" OFF)
option(STARLANE_COVERAGE "Count which lines and branches run (needs clang)" OFF)
set(STARLANE_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread")

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# A release keeps its assertions (no NDEBUG), and line numbers for the stack traces users send.
set(CMAKE_C_FLAGS_RELEASE "-O3 -g1")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

# The build tree is laid out like an installed prefix, so that the command finds its library and plug-ins
# by the same relative path in both.
include(GNUInstallDirs)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
set(CMAKE_INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")

if(NOT CMAKE_C_COMPILER_LAUNCHER)
  find_program(STARLANE_CCACHE ccache)
  if(STARLANE_CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${STARLANE_CCACHE})
  endif()
endif()

add_library(starlane_options INTERFACE)
target_include_directories(starlane_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(starlane_options INTERFACE _GNU_SOURCE)
target_compile_options(starlane_options INTERFACE
  $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wvla -Wformat=2 -Wundef -Wwrite-strings -fno-strict-aliasing -fno-omit-frame-pointer
  -ffunction-sections -fdata-sections
  -ffp-contract=off>) # a simulated seed is the same run on every kind of processor
target_link_options(starlane_options INTERFACE -Wl,-z,relro,-z,now)
# What is built names files as the repository does, not where it happened to lie.
target_compile_options(starlane_options INTERFACE $<$<COMPILE_LANGUAGE:C>:
  -ffile-prefix-map=${PROJECT_SOURCE_DIR}/= -ffile-prefix-map=${PROJECT_BINARY_DIR}=.>)
if(STARLANE_WERROR)
  target_compile_options(starlane_options INTERFACE $<$<COMPILE_LANGUAGE:C>:-Werror>)
endif()

if(STARLANE_SANITIZE)
  target_compile_options(starlane_options INTERFACE
    $<$<COMPILE_LANGUAGE:C>:-fsanitize=${STARLANE_SANITIZE} -fno-sanitize-recover=all>)
  target_link_options(starlane_options INTERFACE -fsanitize=${STARLANE_SANITIZE})
else()
  # glibc's checked string functions and stack canaries: the sanitizers bring better ones of their own.
  target_compile_options(starlane_options INTERFACE
    $<$<COMPILE_LANGUAGE:C>:-fstack-protector-strong $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>>)
endif()

if(STARLANE_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "STARLANE_FUZZ needs clang: cmake --preset fuzz, or -DCMAKE_C_COMPILER=clang")
  endif()
  if(NOT STARLANE_COVERAGE) # there they only go through the seeds
    target_compile_options(starlane_options INTERFACE $<$<COMPILE_LANGUAGE:C>:-fsanitize=fuzzer-no-link>)
  endif()
endif()

# Counters live in the mapped profile itself: also a process that is killed, or ends by _exit(), has written them.
if(STARLANE_COVERAGE)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "STARLANE_COVERAGE needs clang: cmake --preset coverage, or -DCMAKE_C_COMPILER=clang")
  endif()
  target_compile_options(starlane_options INTERFACE
    $<$<COMPILE_LANGUAGE:C>:-fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation
    -fcoverage-compilation-dir=${PROJECT_SOURCE_DIR}>)
  target_link_options(starlane_options INTERFACE -fprofile-instr-generate)
endif()

if(STARLANE_LTO)
  include(CheckIPOSupported)
  check_ipo_supported(LANGUAGES C)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()

# A room of the house: a static library of every .c file in the folder. LINK names what it may use.
function(starlane_room name)
  cmake_parse_arguments(ROOM "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE starlane_options ${ROOM_LINK})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC starlane_options ${ROOM_LINK})
  set_property(GLOBAL APPEND PROPERTY STARLANE_ROOMS ${name})
endfunction()

# Every target made in `folder` and below, into `result`.
function(starlane_targets_below folder result)
  get_property(all DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
  get_property(subfolders DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
  foreach(subfolder ${subfolders})
    starlane_targets_below(${subfolder} below)
    list(APPEND all ${below})
  endforeach()
  set(${result} ${all} PARENT_SCOPE)
endfunction()
