# `cpack --preset portable`: a tarball to unpack on a machine without the packages, laid out as the checkout is.
install(TARGETS gradscape RUNTIME DESTINATION bin)
install(DIRECTORY configs docs DESTINATION .)
install(DIRECTORY tools DESTINATION . USE_SOURCE_PERMISSIONS
        PATTERN quickstart.sh EXCLUDE PATTERN test.sh EXCLUDE PATTERN portable_test.sh EXCLUDE PATTERN packages.sh EXCLUDE
        PATTERN signature.sh EXCLUDE PATTERN __pycache__ EXCLUDE PATTERN *.egg-info EXCLUDE)
install(FILES README.md SECURITY.md LICENSE pyproject.toml DESTINATION .)

set(CPACK_GENERATOR TGZ)
set(CPACK_PACKAGE_FILE_NAME gradscape-${PROJECT_VERSION}-linux-x86-64-v3)
set(CPACK_STRIP_FILES ON)
include(CPack)
