// A flat vector in a file: one dataset for each part of its layout, in PyTorch's names and shapes.
#pragma once

#include <string>

#include "gradscape/file/h5.hpp"
#include "gradscape/nn/layout.hpp"

namespace gradscape {

/// Writes GROUP/NAME for each part; counters as int64.
template <class S>
void write_parts(h5::File& file, const std::string& group, const Layout& layout, const Vector<S>& values);

/// Reads them back. ForeignFile where the file lacks a part, has it in another shape or precision, or has others: the
/// first part that differs is named.
template <class S>
Vector<S> read_parts(const h5::File& file, const std::string& group, const Layout& layout);

/// Bytes that they take in a file, with the metadata of HDF5.
template <class S>
std::int64_t parts_bytes(const Layout& layout);

}  // namespace gradscape
