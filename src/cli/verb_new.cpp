// First configurations to begin with.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/progress.hpp"

namespace gradscape {
namespace {

constexpr const char* kVariants = R"(
# One run for each; a variant may set any key. They have the same batches, and the same initial values where both have
# the weight.
[[variant]]
name = "none"

[[variant]]
name = "bn"
model.norm = "batch"       # none | batch | l1 | l2 | linf | layer | group
)";

/// A first configuration; what they share is kText.
struct Template {
  const char* name;
  const char* about;
  const char* model;
  const char* training;
  const char* variants;
};

constexpr Template kTemplates[] = {
    {"vgg", "VGG-A (Simonyan and Zisserman 2015) with and without batch normalisation, as Santurkar et al. 2018",
     R"([model]
arch = "vgg-a"             # vgg-11 … vgg-19 too
width = 0.25               # of all channel counts: a sixteenth of the arithmetic; 1: as published
)",
     "lr = 0.1\n", kVariants},
    {"resnet", "ResNet-20 (He et al. 2016) with and without batch normalisation",
     R"([model]
arch = "resnet-20"         # 20, 32, 44, 56, 110; wrn-28-10, densenet-40 are other families
width = 0.5                # of all channel counts; 1: as published
init = "pytorch"           # he-normal grows beyond bounds without normalisation
)",
     "lr = 0.05\nmomentum = 0.9\nweight_decay = 1e-4\n", kVariants},
    {"mlp", "a multilayer perceptron with and without batch normalisation",
     R"([model]
arch = "mlp"
hidden = [256, 128]        # units of each hidden layer
norm_dense = true          # a norm behind each hidden layer, where the variant has one
)",
     "lr = 0.05\n", kVariants},
    {"own", "a network of your own, layer by layer",
     R"([model]
init = "he-normal"
# A line is a layer: conv, dense, norm, relu, maxpool, flatten, dropout, add, repeat … A NAME: before it names its
# weights, as in PyTorch. `gradscape info FILE` shows what comes out of each.
layers = """
conv1: conv 16 3x3 pad 1
norm batch                 # none of it: delete the line; or norm layer, norm group 4, norm l2
relu
maxpool 2
conv2: conv 32 3x3 pad 1
norm batch
relu
maxpool 2
flatten
linear: dense 10           # one number for each class
"""
)",
     "lr = 0.05\n", ""},
};

// {0} name, {1} about, {2} [model], {3} training, {4} variants, {5} path
constexpr const char* kText = R"(# {1}.
# gradscape run {5}        trains and probes, in runs/{0}
# gradscape watch runs/{0}      shows how far it is
# gradscape run --help-all      lists every key; each is also a flag, as in --lr 0.01

[experiment]
name = "{0}"              # the folder below runs/
# seeds = [1, 2, 3]        # a run for each, in place of train.seed

[data]
source = "synthetic"       # ten classes of 32x32 images made from a seed; nothing to download
synthetic_train = 2048
synthetic_test = 512
# CIFAR-10 in their place (tools/fetch_data.sh cifar10 brings it):
# source = "cifar10"
# path = "data/cifar10/cifar-10-batches-bin"
# augment_flip = true
# augment_crop = 4

{2}
[train]
optimizer = "sgd"          # sgd | adam | adamw | rmsprop | sam
{3}batch_size = 64
steps = 200                # or epochs = 10
checkpoint_every = 50      # what `sweep` replays from; a stopped run continues there
test_every = 50
seed = 1

[sweep]                    # how loss and gradient are probed along the gradient
every = 10                 # steps
multipliers = [0.5, 1.0, 2.0, 4.0]   # of the learning rate
{4})";

std::vector<std::string> template_names() {
  std::vector<std::string> names;
  for (const Template& one : kTemplates) names.emplace_back(one.name);
  return names;
}

/// `path`: as what it is written; named in a comment, which ends with a line.
std::string text_of(const Template& one, const std::string& path) {
  return fmt::format(kText, one.name, one.about, one.model, one.training, one.variants,
                     path.find_first_of("\r\n") == std::string::npos ? path : fmt::format("{}.toml", one.name));
}

/// Writes a file that must not be there.
void write_new(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0 && errno == EEXIST) throw UsageError(path, "is there already", "--out FILE writes another");
  if (file < 0) throw Error(path, fmt::format("cannot be made: {}", std::strerror(errno)), "does its folder exist?");
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int code = errno;
  if (::close(file) == 0 && written) return;
  ::unlink(path.c_str());
  throw Error(path, fmt::format("cannot be written: {}", std::strerror(written ? errno : code)), "is the disk full?");
}

}  // namespace

void add_new(VerbList& verbs) {
  Verb verb = verbs.add("new", "Write a first configuration, with comments");
  auto kind = std::make_shared<std::string>();
  auto out = std::make_shared<std::string>();
  verb.option("KIND", *kind, fmt::format("{}", fmt::join(template_names(), " | ")))
      .required()
      .choices(template_names());
  verb.option("--out", *out, "the file to write (default: KIND.toml)").type_name("FILE");
  verb.ignores({"--threads", "--isa"});
  verb.note("own: a network as text. Each runs as it is, on synthetic images; comments say what to change.");
  verb.example("gradscape new vgg", "vgg.toml; then: gradscape run vgg.toml");
  verb.example("gradscape new own --out mine.toml", "then: gradscape info mine.toml");
  verb.runs([kind, out] {
    const auto found = std::find_if(std::begin(kTemplates), std::end(kTemplates),
                                    [&](const Template& one) { return one.name == *kind; });
    if (found == std::end(kTemplates))
      throw UsageError("KIND", fmt::format("there is no \"{}\" to begin with", abridge(*kind)),
                       fmt::format("one of: {}", fmt::join(template_names(), ", ")));
    const std::string path = out->empty() ? fmt::format("{}.toml", found->name) : *out;
    write_new(path, text_of(*found, path));
    print_path(path);
    say(fmt::format("run it with: gradscape run {}", path));
  });
}

}  // namespace gradscape
