# What `cmake --install` puts where: the header, the library, its pkg-config and CMake descriptions, the
# man pages and the documents. Programs and plug-ins install themselves in their own folders.
include(CMakePackageConfigHelpers)

set(STARLANE_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/Starlane)

if(TARGET starlane)
  install(TARGETS starlane EXPORT StarlaneTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT StarlaneTargets NAMESPACE Starlane:: DESTINATION ${STARLANE_CMAKE_DIR})
  install(FILES ${PROJECT_SOURCE_DIR}/include/starlane.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

  configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/StarlaneConfig.cmake.in
    ${PROJECT_BINARY_DIR}/StarlaneConfig.cmake INSTALL_DESTINATION ${STARLANE_CMAKE_DIR})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/StarlaneConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/StarlaneConfig.cmake ${PROJECT_BINARY_DIR}/StarlaneConfigVersion.cmake
    DESTINATION ${STARLANE_CMAKE_DIR})

  # The prefix is found from where the file lies: an installed tree can be moved, or staged with DESTDIR.
  cmake_path(SET pkgconfig_dir NORMALIZE /${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  cmake_path(RELATIVE_PATH pkgconfig_dir BASE_DIRECTORY / OUTPUT_VARIABLE pkgconfig_dir)
  string(REGEX REPLACE "[^/]+" ".." STARLANE_UP_TO_PREFIX ${pkgconfig_dir})
  configure_file(${CMAKE_CURRENT_LIST_DIR}/starlane.pc.in ${PROJECT_BINARY_DIR}/starlane.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/starlane.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()

file(GLOB man_pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.1)
install(FILES ${man_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

file(GLOB documents CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.md ${PROJECT_SOURCE_DIR}/README.md
  ${PROJECT_SOURCE_DIR}/SECURITY.md ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE)
install(FILES ${documents} DESTINATION ${CMAKE_INSTALL_DOCDIR})
