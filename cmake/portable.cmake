# gradscape_libraries for an executable that asks a machine for nothing but glibc: archives instead of shared libraries,
# and header-only forms where Debian has no archive ({fmt}, toml++). tools/portable_test.sh checks what comes out.

# HDF5's archive names libcurl and libcrypto as well: for its S3 driver, which the linker leaves out.
set(archives)
foreach(name hdf5_hl hdf5 sz aec z xxhash)
  find_library(GRADSCAPE_ARCHIVE_${name} NAMES lib${name}.a PATH_SUFFIXES hdf5/serial REQUIRED)
  list(APPEND archives ${GRADSCAPE_ARCHIVE_${name}})
endforeach()

# It lies in the compiler's own folder, where find_library() does not look.
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libgomp.a OUTPUT_VARIABLE gomp OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT IS_ABSOLUTE "${gomp}")
  message(FATAL_ERROR "${CMAKE_CXX_COMPILER} has no libgomp.a, which GRADSCAPE_PORTABLE needs")
endif()

add_library(gradscape_libraries INTERFACE)
target_compile_options(gradscape_libraries INTERFACE ${OpenMP_CXX_FLAGS})
target_link_options(gradscape_libraries INTERFACE -static-libstdc++ -static-libgcc)
target_link_libraries(gradscape_libraries INTERFACE fmt::fmt-header-only ${archives} ${gomp} pthread dl m)
