# CUDA, where a compiler for it is found: CMAKE_CUDA_COMPILER is empty otherwise, and folders ask for that.
# Older GPUs get machine code of their own; from the newest one's PTX still newer GPUs compile.
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(STATUS "No CUDA compiler (nvcc): built without the GPU plug-in and without programs for the GPU tests")
  return()
endif()

if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 90)
endif()
# As in C: a release keeps its assertions.
set(CMAKE_CUDA_FLAGS_RELEASE "-O3")
set(CMAKE_CUDA_FLAGS_RELWITHDEBINFO "-O2 -g")
enable_language(CUDA)
message(STATUS "CUDA ${CMAKE_CUDA_COMPILER_VERSION}: ${CMAKE_CUDA_COMPILER}, for ${CMAKE_CUDA_ARCHITECTURES}")

# What is in CUDA brings its runtime along, and so starts (and finds no GPU) on machines without CUDA.
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
add_library(starlane_cuda_options INTERFACE)
target_include_directories(starlane_cuda_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(starlane_cuda_options INTERFACE
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wshadow>)
if(STARLANE_WERROR)
  target_compile_options(starlane_cuda_options INTERFACE
    $<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings -Xcompiler=-Werror>)
endif()
