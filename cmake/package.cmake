# `cpack --preset portable`: a tarball to unpack on a machine without the packages, laid out as the checkout is.
install(TARGETS gradscape RUNTIME DESTINATION bin)
install(DIRECTORY configs docs DESTINATION .)
install(DIRECTORY tools DESTINATION . USE_SOURCE_PERMISSIONS
        PATTERN quickstart.sh EXCLUDE PATTERN test.sh EXCLUDE PATTERN portable_test.sh EXCLUDE PATTERN packages.sh EXCLUDE
        PATTERN signature.sh EXCLUDE PATTERN __pycache__ EXCLUDE PATTERN *.egg-info EXCLUDE)
install(FILES README.md SECURITY.md LICENSE pyproject.toml DESTINATION .)

# What the program says of itself, as man and the shells read it; it is asked when it is installed.
function(install_output file folder)
  list(JOIN ARGN " " arguments)
  install(CODE "execute_process(COMMAND \"$<TARGET_FILE:gradscape>\" ${arguments} OUTPUT_FILE \"${CMAKE_CURRENT_BINARY_DIR}/generated/${file}\"
                                COMMAND_ERROR_IS_FATAL ANY)")
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/generated/${file} DESTINATION share/${folder})
endfunction()
install_output(gradscape.1 man/man1 manual)
install_output(gradscape bash-completion/completions completion bash)
install_output(_gradscape zsh/site-functions completion zsh)
install_output(gradscape.fish fish/vendor_completions.d completion fish)

set(CPACK_GENERATOR TGZ)
set(CPACK_PACKAGE_FILE_NAME gradscape-${PROJECT_VERSION}-linux-x86-64-v3)
set(CPACK_STRIP_FILES ON)
include(CPack)
