# Install rules and the package that find_package(cubinet) finds.

include(CMakePackageConfigHelpers)
set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/cubinet")

install(
  TARGETS cubinet_jit cubinet cubinet_embed
  EXPORT cubinetTargets
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/jit" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/kernel_templates"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/cubinet")

install(EXPORT cubinetTargets NAMESPACE cubinet:: DESTINATION "${package_folder}")
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/tools/cmake/cubinetConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/cubinetConfig.cmake"
  INSTALL_DESTINATION "${package_folder}"
  PATH_VARS CMAKE_INSTALL_DATADIR)
# Before 1.0 a minor release may break its users.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/cubinetConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(
  FILES "${PROJECT_BINARY_DIR}/cubinetConfig.cmake"
        "${PROJECT_BINARY_DIR}/cubinetConfigVersion.cmake"
        "${PROJECT_SOURCE_DIR}/tools/cmake/cubinet_embed_templates.cmake"
  DESTINATION "${package_folder}")
