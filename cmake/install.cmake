# What `cmake --install` writes: the library, the headers, a CMake package and a pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/brood)

install(TARGETS brood EXPORT broodTargets)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/brood DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.hpp)
install(EXPORT broodTargets NAMESPACE brood:: DESTINATION ${package_dir})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/broodConfig.cmake.in broodConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(broodConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/broodConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/broodConfigVersion.cmake
        DESTINATION ${package_dir})

# The file finds its prefix from its own place, so an installed tree may be moved. A static library brings its needs along.
file(RELATIVE_PATH pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
get_target_property(kind brood TYPE)
if(kind STREQUAL "STATIC_LIBRARY")
  set(pc_libs "-lbrood -pthread -ldl")
else()
  set(pc_libs "-lbrood")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/brood.pc.in brood.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/brood.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
