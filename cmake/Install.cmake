# Program, library (one archive with all rooms), headers, man page, CMake package, pkg-config file.
include(CMakePackageConfigHelpers)

add_library(banquet_library STATIC)
set_target_properties(banquet_library PROPERTIES OUTPUT_NAME banquet EXPORT_NAME banquet
                      LINKER_LANGUAGE C)
set(room_objects)
foreach(room base core adapters run kernels check cli)
  list(APPEND room_objects $<TARGET_OBJECTS:bq_${room}_objects>)
endforeach()
target_sources(banquet_library PRIVATE ${room_objects})
target_include_directories(banquet_library INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

install(TARGETS banquet RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS banquet_library EXPORT banquet ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/banquet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES man/banquet.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(DIRECTORY jobs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/banquet/jobs)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/banquet)
install(EXPORT banquet NAMESPACE banquet:: FILE banquet-targets.cmake DESTINATION ${package_dir})
configure_package_config_file(cmake/banquet-config.cmake.in ${CMAKE_BINARY_DIR}/banquet-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/banquet-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/banquet-config.cmake ${CMAKE_BINARY_DIR}/banquet-config-version.cmake
        DESTINATION ${package_dir})

# Relative to the file itself, so that `cmake --install --prefix` may put it anywhere.
file(RELATIVE_PATH BANQUET_PC_UP "/p/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/p")
string(REGEX REPLACE "/$" "" BANQUET_PC_UP "${BANQUET_PC_UP}")
set(BANQUET_PC_PREFIX "\${pcfiledir}/${BANQUET_PC_UP}")
set(BANQUET_PC_INCLUDE "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
configure_file(cmake/banquet.pc.in ${CMAKE_BINARY_DIR}/banquet.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/banquet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
