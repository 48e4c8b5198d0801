// How every file of gradscape is written: atomically, as a whole or not at all.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "gradscape/file/h5.hpp"

namespace gradscape {

/// Version of the files' schemas (docs/format.md); raised when a reader of the old one would go wrong. Files of version
/// 1 have no hashes, and are read too.
inline constexpr std::int64_t kFormatVersion = 2;

/// What every file says of its origin, as attributes of its root.
struct Provenance {
  std::string file_type;         // "checkpoint", "trace", "grid"
  std::string name;              // the experiment's
  std::string variant;           // empty for a run without variants
  std::string config;            // exact resolved configuration, TOML
  std::string data_name;         // "CIFAR-10"
  std::string data_fingerprint;  // of the training images
};

/// Writes an HDF5 file under a temporary name beside `path`, with provenance and, last, the attributes `content_hash`
/// and `complete`; then fsync and rename. On any failure the temporary file is removed, an older `path` is left as it
/// was, and Error is thrown.
void publish_h5(const std::string& path, const Provenance& provenance, const std::function<void(h5::File&)>& fill);

/// The same for a text file.
void publish_text(const std::string& path, const std::string& text);

/// The same for any file: `write(temporary path)` writes it whole.
void publish_file(const std::string& path, const std::function<void(const std::string&)>& write);

/// Opens a published file and checks that it is a complete gradscape file of type `file_type` (any, if empty) and of a
/// format version that this program reads, with the attributes and the datasets it was published with: their values are
/// compared with their hashes as they are read. Error otherwise; AccessError where it is not accessible now.
h5::File open_published(const std::string& path, const std::string& file_type);

/// The same without comparing the list of its datasets: a cheap first look at one of many files that are opened whole
/// later. The values of what is read are compared with their hashes all the same.
h5::File peek_published(const std::string& path, const std::string& file_type);

/// Which program wrote a file, by the names of the root's attributes: version, revision, compiler, flags, libraries.
/// Bits of different ones need not agree.
using Program = std::map<std::string, std::string>;
Program this_program();
Program program_of(const h5::File& file);
/// "git_revision is A here and B there": the first field that differs; nothing where none does.
std::string difference(const Program& here, const Program& there);

/// Which program a file belongs to: an HDF5 file says so in its root; nobody: it cannot be read as one.
enum class Owner { gradscape, another, nobody };
Owner owner_of(const std::string& path);

/// The hash of all that a published file holds but its wall times, as it says itself; nothing in files of format 1.
std::optional<std::uint64_t> find_content_hash(const h5::File& file);

Provenance read_provenance(const h5::File& file);

}  // namespace gradscape
