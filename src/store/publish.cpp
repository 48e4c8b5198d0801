#include "gradscape/store/publish.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

#include "gradscape/core/doing.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/process_identity.hpp"
#include "gradscape/host/version.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& path, const std::string& what, int code) {
  throw Error(path, fmt::format("{}: {}", what, std::strerror(code)));
}

/// A descriptor of a file that is being written. Its functions throw Error; the destructor is for what failed already.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : path_(path), number_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (number_ < 0) fail(path_, "cannot be opened for writing", errno);
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(number_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(path_, "cannot be written", errno);
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  /// Forces the content to the disk, where the file system knows how (EINVAL: it does not), and closes.
  void finish() {
    if (::fsync(number_) != 0 && errno != EINVAL) fail(path_, "cannot be synced to disk", errno);
    if (::close(std::exchange(number_, -1)) != 0) fail(path_, "cannot be closed", errno);
  }

 private:
  const std::string& path_;
  int number_;
};

/// Forces a rename to the disk. Network file systems and others refuse to sync directories, each with an error of its
/// own, and the file is in its place already: the rename is as durable as they make it.
void sync_directory(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

/// Free bytes are the likely reason where a library reports no more than that writing failed.
std::string full_disk_hint(const fs::path& directory) {
  std::error_code ignored;
  const auto space = fs::space(directory, ignored);
  if (!ignored && space.available < (1u << 20))
    return fmt::format(
        "the disk is full ({} bytes left in {}): free some room and call again (run, train: with --resume); files "
        "already there are intact",
        space.available, directory.string());
  return "";
}

/// Runs write(temporary path), which leaves a file synced to the disk, then makes it appear as `path`.
void publish(const std::string& path, const std::function<void(const std::string&)>& write) {
  const Doing doing("writing", path);
  const fs::path target(path);
  const fs::path directory = target.parent_path().empty() ? fs::path(".") : target.parent_path();
  std::error_code code;
  fs::create_directories(directory, code);
  if (code) throw Error(directory.string(), "cannot create the directory: " + code.message());
  const std::string temporary =
      (directory / fmt::format(".{}.tmp-{}", target.filename().string(), process_suffix())).string();
  try {
    write(temporary);
    reach(Moment::written);
    if (std::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "cannot rename into place", errno);
  } catch (const Error& error) {
    const std::string hint = full_disk_hint(directory);
    ::unlink(temporary.c_str());
    if (hint.empty()) throw;
    throw Error("", error.what(), hint);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_directory(directory.string());
  reach(Moment::published);
}

constexpr const char* kContentHash = "content_hash";
constexpr const char* kDamaged = "it is damaged or was changed; a damaged file of a run can be deleted and made again";

std::uint64_t hash_content(const h5::File& file) {
  return file.content_hash({kContentHash, "complete"}, {"/seconds"});
}

}  // namespace

void publish_h5(const std::string& path, const Provenance& provenance, const std::function<void(h5::File&)>& fill) {
  publish(path, [&](const std::string& temporary) {
    h5::File file = h5::File::create(temporary);
    file.set_attribute("/", "program", "gradscape");
    file.set_attribute("/", "file_type", provenance.file_type);
    file.set_attribute("/", "format_version", kFormatVersion);
    for (const auto& [name, value] : this_program()) file.set_attribute("/", name, value);
    file.set_attribute("/", "name", provenance.name);
    file.set_attribute("/", "variant", provenance.variant);
    file.set_attribute("/", "config", provenance.config);
    file.set_attribute("/", "data_name", provenance.data_name);
    file.set_attribute("/", "data_fingerprint", provenance.data_fingerprint);
    fill(file);
    file.flush();
    file.set_attribute("/", kContentHash, hash_content(file));
    file.set_attribute("/", "complete", std::int64_t{1});
    file.flush();
    file.close();
    Descriptor(temporary, O_RDONLY).finish();
  });
}

void publish_text(const std::string& path, const std::string& text) {
  publish(path, [&](const std::string& temporary) {
    Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    file.write(text);
    file.finish();
  });
}

void publish_file(const std::string& path, const std::function<void(const std::string&)>& write) {
  publish(path, [&](const std::string& temporary) {
    write(temporary);
    Descriptor(temporary, O_RDONLY).finish();
  });
}

namespace {

bool is_own(const h5::File& file) {
  return file.has_attribute("/", "program") && file.text_attribute("/", "program") == "gradscape";
}

/// Error unless a file has what it was published with.
void require_content(const h5::File& file) {
  const auto stored = find_content_hash(file);
  if (!stored) throw Error(file.path(), "has no hash of its content", kDamaged);
  if (const std::uint64_t found = hash_content(file); found != *stored)
    throw Error(
        file.path(),
        fmt::format("does not hold what was written: its hash is {:016x}, that of its content {:016x}", *stored, found),
        kDamaged);
}

}  // namespace

Program this_program() {
  const BuildInfo& build = build_info();
  return {{"program_version", build.version},
          {"git_revision", build.git_revision},
          {"compiler", build.compiler},
          {"compiler_flags", build.flags},
          {"libraries", build.libraries}};
}

Program program_of(const h5::File& file) {
  Program program = this_program();
  for (auto& [name, value] : program) value = file.text_attribute("/", name);
  return program;
}

std::string difference(const Program& here, const Program& there) {
  for (const auto& [name, value] : here)
    if (value != there.at(name)) return fmt::format("{} is {} here and {} there", name, value, there.at(name));
  return "";
}

Owner owner_of(const std::string& path) {
  try {
    return is_own(h5::File::open(path)) ? Owner::gradscape : Owner::another;
  } catch (const AccessError&) {  // whose it is cannot be seen now
    throw;
  } catch (const Error&) {
    return Owner::nobody;
  }
}

h5::File open_published(const std::string& path, const std::string& file_type) {
  h5::File file = peek_published(path, file_type);
  if (file.integer_attribute("/", "format_version") > 1) require_content(file);
  return file;
}

h5::File peek_published(const std::string& path, const std::string& file_type) {
  const Doing doing("reading", path);
  h5::File file = h5::File::open(path);
  if (!is_own(file) || !file.has_attribute("/", "file_type"))
    throw ForeignFile(path, "is an HDF5 file, but not one of gradscape's");
  if (!file.has_attribute("/", "complete")) throw Error(path, "is not complete", "delete it and make it again");
  const auto version = file.integer_attribute("/", "format_version");
  if (version < 1 || version > kFormatVersion)
    throw ForeignFile(
        path, fmt::format("has format version {}, this program reads versions 1 to {}", version, kFormatVersion),
        "use the gradscape that wrote it: " + file.text_attribute("/", "program_version"));
  const std::string found = file.text_attribute("/", "file_type");
  if (!file_type.empty() && found != file_type)
    throw ForeignFile(path, fmt::format("is a {} file, expected a {} file", found, file_type));
  return file;
}

std::optional<std::uint64_t> find_content_hash(const h5::File& file) {
  if (!file.has_attribute("/", kContentHash)) return {};
  return file.hash_attribute("/", kContentHash);
}

Provenance read_provenance(const h5::File& file) {
  const auto text = [&](const char* name) { return file.text_attribute("/", name); };
  return {text("file_type"), text("name"),      text("variant"),
          text("config"),    text("data_name"), text("data_fingerprint")};
}

}  // namespace gradscape
