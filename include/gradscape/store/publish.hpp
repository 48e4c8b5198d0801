// How every file of gradscape comes into the world: whole, or not at all.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "gradscape/store/h5.hpp"

namespace gradscape {

/// Version of the files' schemas (docs/format.md); raised when a reader of the old one would go wrong.
inline constexpr std::int64_t kFormatVersion = 1;

/// What every file says of its origin, as attributes of its root.
struct Provenance {
  std::string file_type;         // "checkpoint", "trace", "grid"
  std::string name;              // the experiment's
  std::string variant;           // empty for a run without variants
  std::string config;            // exact resolved configuration, TOML
  std::string data_name;         // "CIFAR-10"
  std::string data_fingerprint;  // of the training images
};

/// Writes an HDF5 file under a temporary name beside `path`, with provenance and, last, the attribute `complete`; then
/// fsync and rename. On any failure the temporary file is removed, an older `path` is left as it was, and Error is
/// thrown.
void publish_h5(const std::string& path, const Provenance& provenance, const std::function<void(h5::File&)>& fill);

/// The same for a text file.
void publish_text(const std::string& path, const std::string& text);

/// Opens a published file and checks that it is a complete gradscape file of type `file_type` (any, if empty) and of a
/// format version that this program reads. Error otherwise.
h5::File open_published(const std::string& path, const std::string& file_type);

Provenance read_provenance(const h5::File& file);

}  // namespace gradscape
