# SPDX-License-Identifier: Apache-2.0
# The library as others get it: libposthouse.so and libposthouse.a, headers, a pkg-config file and a CMake package.
# Install component: library.
include(CMakePackageConfigHelpers)

# ph_package(client link ... base): the folders whose objects are the library.
function(ph_package)
    set(objects ${ARGN})
    list(TRANSFORM objects PREPEND "$<TARGET_OBJECTS:")
    list(TRANSFORM objects APPEND ">")
    set(uses PkgConfig::LIBUV PkgConfig::TLS PkgConfig::CRYPTO PkgConfig::CARES)

    add_library(posthouse_shared SHARED ${objects})
    # Until 1.0 a new minor version may break what was compiled against the one before.
    set_target_properties(posthouse_shared PROPERTIES EXPORT_NAME posthouse SOVERSION 0 VERSION ${PROJECT_VERSION})
    target_link_options(posthouse_shared PRIVATE -Wl,--no-undefined -Wl,--as-needed)
    add_library(posthouse_static STATIC ${objects})
    foreach(target IN ITEMS posthouse_shared posthouse_static)
        set_target_properties(${target} PROPERTIES OUTPUT_NAME posthouse LINKER_LANGUAGE C)
        target_link_libraries(${target} PRIVATE ${uses})
        target_include_directories(${target} INTERFACE
            $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    endforeach()

    install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/posthouse DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT library FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
    set(package ${CMAKE_INSTALL_LIBDIR}/cmake/posthouse)
    # Two sets, so that who links the shared library needs nothing of what the static one needs.
    foreach(kind IN ITEMS shared static)
        install(TARGETS posthouse_${kind} EXPORT posthouse_${kind}
            LIBRARY COMPONENT library NAMELINK_COMPONENT library ARCHIVE COMPONENT library)
        install(EXPORT posthouse_${kind} NAMESPACE posthouse:: DESTINATION ${package} COMPONENT library)
    endforeach()
    configure_package_config_file(${PROJECT_SOURCE_DIR}/packaging/posthouseConfig.cmake.in
        posthouseConfig.cmake INSTALL_DESTINATION ${package})
    write_basic_package_version_file(posthouseConfigVersion.cmake COMPATIBILITY SameMinorVersion)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/posthouseConfig.cmake
        ${CMAKE_CURRENT_BINARY_DIR}/posthouseConfigVersion.cmake DESTINATION ${package} COMPONENT library)

    file(RELATIVE_PATH PH_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
    configure_file(${PROJECT_SOURCE_DIR}/packaging/posthouse.pc.in posthouse.pc @ONLY)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/posthouse.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT library)
endfunction()
