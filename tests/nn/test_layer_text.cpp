// Networks as text: what each statement means, how repeats and branches are read, that a graph's text gives the graph
// back, and what a mistake is told of.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "gradscape/nn/layer_text.hpp"
#include "gradscape/nn/op_words.hpp"
#include "gradscape/nn/zoo.hpp"
#include "support/errors.hpp"

namespace gradscape::testing {
namespace {

constexpr FeatureShape kImage{32, 32, 3};

ModelGraph read(const std::string& text, FeatureShape input = kImage) {
  return parse_graph(text, input, "net");
}

/// The one op of a text.
Op op_of(const std::string& text) {
  return read("input1: conv 2 1x1\nconv 2 1x1\n" + text).nodes.back().op;
}

/// Nodes as "name(input, …)", of which those without a name are "-".
std::vector<std::string> wiring(const ModelGraph& graph) {
  std::vector<std::string> all;
  for (const Node& node : graph.nodes)
    all.push_back(fmt::format("{}({})", node.name.empty() ? "-" : node.name, fmt::join(node.inputs, ", ")));
  return all;
}

// docs/guide/own-networks.md, row by row, beside the fields that torch.nn's arguments of these names have.
TEST(LayerText, EachStatementIsItsOp) {
  const auto relu_like = [](ActivationKind kind, double a = 0, double b = 0) { return Op(ActivationOp{kind, a, b}); };
  const std::vector<std::pair<std::string, Op>> rows = {
      {"conv 64 3x5", ConvOp{64, 3, 5, 1, 0, true, 1, 1}},
      {"conv 8 1x1 stride 2 pad 1 dilation 3 groups 4 no bias", ConvOp{8, 1, 1, 2, 1, false, 3, 4}},
      {"conv 8 3x3 pad 0 1 2 3", ConvOp{8, 3, 3, 1, Padding(0, 1, 2, 3)}},
      {"dense 10", DenseOp{10, true}},
      {"dense 10 no bias", DenseOp{10, false}},
      {"norm batch", NormOp{NormKind::batch, 1e-5, true, 0.1, true, 1}},
      {"norm l1 eps 0.001 momentum 0.25 no affine no track", NormOp{NormKind::l1, 0.001, false, 0.25, false, 1}},
      {"norm l2", NormOp{NormKind::l2}},
      {"norm linf", NormOp{NormKind::linf}},
      {"norm layer", NormOp{NormKind::layer}},
      {"norm group 4 eps 0.5", NormOp{NormKind::group, 0.5, true, 0.1, true, 4}},
      {"relu", relu_like(ActivationKind::relu)},
      {"sigmoid", relu_like(ActivationKind::sigmoid)},
      {"hard-sigmoid", relu_like(ActivationKind::hard_sigmoid)},
      {"tanh", relu_like(ActivationKind::tanh)},
      {"silu", relu_like(ActivationKind::silu)},
      {"hard-swish", relu_like(ActivationKind::hard_swish)},
      {"gelu", relu_like(ActivationKind::gelu)},
      {"gelu-tanh", relu_like(ActivationKind::gelu_tanh)},
      {"leaky-relu", relu_like(ActivationKind::leaky_relu, 0.01)},
      {"leaky-relu 0.2", relu_like(ActivationKind::leaky_relu, 0.2)},
      {"elu", relu_like(ActivationKind::elu, 1)},
      {"elu 0.5", relu_like(ActivationKind::elu, 0.5)},
      {"clip 0 6", relu_like(ActivationKind::clip, 0, 6)},
      {"clip -1 1.5", relu_like(ActivationKind::clip, -1, 1.5)},
      {"maxpool 3", PoolOp{PoolKind::max, 3, 3}},
      {"maxpool 3 stride 2 pad 1 ceil", PoolOp{PoolKind::max, 3, 2, 1, true}},
      {"avgpool 2 pad 0 0 1 1 exclude pad", PoolOp{PoolKind::average, 2, 2, Padding(0, 0, 1, 1), false, true}},
      {"globalpool", GlobalPoolOp{PoolKind::average}},
      {"globalpool max", GlobalPoolOp{PoolKind::max}},
      {"zeropad 2", PadOp{2}},
      {"zeropad 1 2 3 4", PadOp{Padding(1, 2, 3, 4)}},
      {"shortcut 2 8 9", ShortcutOp{2, 8, 9}},
      {"add from 1, 0", AddOp{}},
      {"mul from 1, 0", MulOp{}},
      {"concat from 1, 0", ConcatOp{}},
      {"flatten", FlattenOp{}},
      {"dropout 0.5", DropoutOp{0.5}},
      {"noise 0.5 1.25 0.1 0", NoiseOp{{0.5, 1.25, 0.1, 0}}}};
  for (const auto& [text, op] : rows) {
    const std::string statements = "conv 2 1x1\nconv 2 1x1\n" + text;
    const ModelGraph graph = read(statements);
    EXPECT_EQ(graph.nodes.back().op, op) << text;
    EXPECT_EQ(graph_text(graph), statements + "\n") << "each row is as short as can be";
  }
  for (const std::string& name : op_names())
    EXPECT_TRUE(std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.first.starts_with(name); }))
        << name;
}

TEST(LayerText, ArgumentsHaveAnyOrderAndDefaultsAreLeftOut) {
  EXPECT_EQ(op_of("conv 8 3x3 no bias groups 1 pad 1 stride 1"), Op(ConvOp({8, 3, 3, 1, 1, false})));
  EXPECT_EQ(op_text(op_of("conv 8 3x3 groups 1 no bias pad 1 1 1 1 stride 1")), "conv 8 3x3 pad 1 no bias");
  EXPECT_EQ(op_text(op_of("norm batch momentum 0.1 eps 1e-5")), "norm batch");
  EXPECT_EQ(op_text(op_of("norm batch eps 0.30000000000000004")), "norm batch eps 0.30000000000000004");
  EXPECT_EQ(op_text(op_of("maxpool 2 stride 2 pad 0")), "maxpool 2");
  EXPECT_EQ(op_text(op_of("leaky-relu 1e-2")), "leaky-relu");
  EXPECT_EQ(op_text(op_of("clip 0.0 6.0")), "clip 0 6");
}

TEST(LayerText, BlanksCommentsAndEmptyLinesAreFree) {
  EXPECT_EQ(read("# a network\r\n\n  a :conv 4 1x1   # of one\r\n\t\nconcat from a,a#\n\tb:dense 3"),
            read("a: conv 4 1x1\nconcat from a, a\nb: dense 3\n"));
}

// As in nn.Sequential(conv, norm, relu, pool, conv, norm, relu, pool, flatten, dense).
TEST(LayerText, NumbersAreThoseOfSequential) {
  const ModelGraph graph = read(
      "conv 64 3x3 pad 1\nnorm batch\nrelu\nmaxpool 2\nconv 128 3x3 pad 1\nnorm batch\nrelu\nglobalpool\nflatten\n"
      "dense 10\n");
  EXPECT_EQ(wiring(graph), (std::vector<std::string>{"0(-1)", "1(0)", "-(1)", "-(2)", "4(3)", "5(4)", "-(5)", "-(6)",
                                                     "-(7)", "9(8)"}));
  std::vector<std::string> names;
  const Layout parameters = layouts(graph).parameters;
  for (const Part& part : parameters.parts()) names.push_back(part.name);
  EXPECT_EQ(names, (std::vector<std::string>{"0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias",
                                             "5.weight", "5.bias", "9.weight", "9.bias"}));
  EXPECT_EQ(output_shapes(graph).back(), (FeatureShape{1, 1, 10}));
}

TEST(LayerText, ValuesBranchAndMeet) {
  const ModelGraph graph = read(
      "a: conv 4 1x1\n"
      "b: conv 4 1x1 from input\n"
      "concat from b, a, b\n"
      "last: relu\n"
      "add from last, 2\n");
  EXPECT_EQ(wiring(graph), (std::vector<std::string>{"a(-1)", "b(-1)", "2(1, 0, 1)", "last(2)", "-(3, 2)"}))
      << "a value that a branch takes is called by its number";
  EXPECT_EQ(graph_text(graph),
            "a: conv 4 1x1\nb: conv 4 1x1 from input\nconcat from b, a, b\nlast: relu\nadd from last, 2\n");
}

TEST(LayerText, RepeatsPutTheirPrefixAndNumberInFront) {
  const ModelGraph graph = read(
      "stem: conv 4 1x1\n"
      "relu\n"
      "repeat 2 block from 5 {\n"
      "  conv 4 1x1\n"
      "  n: norm batch\n"
      "  add from n, input\n"
      "}\n"
      "dense 3\n");
  EXPECT_EQ(wiring(graph),
            (std::vector<std::string>{"stem(-1)", "1(0)", "block.5.0(1)", "block.5.n(2)", "block.5.2(3, 1)",
                                      "block.6.0(4)", "block.6.n(5)", "-(6, 4)", "3(7)"}))
      << "a repeat counts as one statement";
  EXPECT_EQ(graph.lines, (std::vector<int>{1, 2, 4, 5, 6, 4, 5, 6, 8}));
  EXPECT_EQ(graph_text(graph),
            "stem: conv 4 1x1\n"
            "relu\n"
            "block.5.0: conv 4 1x1\n"
            "block.5.n: norm batch\n"
            "block.5.2: add from block.5.n, 1\n"
            "block.6.0: conv 4 1x1\n"
            "block.6.n: norm batch\n"
            "add from block.6.n, block.5.2\n"
            "3: dense 3\n");
  EXPECT_EQ(read(graph_text(graph)), graph);
}

TEST(LayerText, NamesAreSoughtFromTheCopyOutwards) {
  const ModelGraph graph = read(
      "x: conv 4 1x1\n"
      "y: relu\n"
      "repeat 2 outer {\n"
      "  x: relu from x\n"  // its own is made only now: the one outside
      "  repeat 1 inner {\n"
      "    z: add from x, y\n"  // outer's x, the text's y
      "    add from z, input\n"
      "  }\n"
      "  add from inner.0.z, outer.0.x, x\n"
      "}\n");
  EXPECT_EQ(wiring(graph), (std::vector<std::string>{"x(-1)", "y(0)", "outer.0.x(0)", "outer.0.inner.0.z(2, 1)",
                                                     "-(3, 2)", "-(3, 2, 2)", "outer.1.x(0)", "outer.1.inner.0.z(6, 1)",
                                                     "-(7, 6)", "-(7, 2, 6)"}));
  EXPECT_EQ(read(graph_text(graph)), graph);
}

TEST(LayerText, DepthwiseIsAGroupForEachChannelThatComesIn) {
  const ModelGraph graph = read("conv 6 1x1\nconv 12 3x3 depthwise pad 1\nconv 12 3x3 depthwise\n");
  EXPECT_EQ(std::get<ConvOp>(graph.nodes[1].op).groups, 6);
  EXPECT_EQ(std::get<ConvOp>(graph.nodes[2].op).groups, 12);
  EXPECT_EQ(graph_text(graph), "conv 6 1x1\nconv 12 3x3 pad 1 groups 6\nconv 12 3x3 groups 12\n");
  // What comes in is not known behind a mistake, which is what is told of.
  expect_error<UsageError>([] { output_shapes(read("flatten\nmaxpool 2\nconv 4 1x1 depthwise\n")); },
                           {"network, line 2, max pool"});
}

// Every network of the zoo, and what it is not made of: ceil, sides, slopes.
TEST(LayerText, GivesEveryZooNetworkBack) {
  for (const std::string& arch : arch_names())
    for (const std::string& norm : norm_names())
      for (const std::string shortcut : {"A", "B", "none"})
        for (const std::string activation : {"relu", "linear"}) {
          if (arch == kLayersArch) continue;
          ModelOptions options;
          options.arch = arch;
          options.norm = norm;
          options.shortcut = shortcut;
          options.activation = activation;
          options.width = 0.5;
          options.norm_groups = 1;
          options.norm_eps = 0.001;
          options.noise = norm == "l2";
          options.dropout = norm == "l1" ? 0.25 : 0;
          const ModelGraph graph = zoo_graph(options, kImage, 10);
          EXPECT_EQ(read(graph_text(graph)), graph) << arch << norm << shortcut << activation;
        }
}

TEST(LayerText, NamesWhatAGraphWithoutNamesBranchesAt) {
  const ModelGraph graph{
      kImage,
      {{ConvOp{4, 1, 1}, "1", {kImages}}, {ActivationOp{}, "", {0}}, {ActivationOp{}, "", {1}}, {AddOp{}, "", {2, 1}}}};
  const std::string text = graph_text(graph);
  EXPECT_EQ(text, "1: conv 4 1x1\n1_: relu\nrelu\nadd from 2, 1_\n") << "1 is a name already";
  EXPECT_EQ(wiring(read(text)), (std::vector<std::string>{"1(-1)", "1_(0)", "2(1)", "-(2, 1)"}));
}

TEST(LayerText, ErrorsSayLineColumnAndWhatIsExpected) {
  const std::string head = "a: conv 4 3x3\n";
  const std::vector<std::pair<std::string, std::vector<std::string>>> rows = {
      {"", {"net: holds no layer", "LAYER"}},
      {" \n# nothing\n", {"net: holds no layer"}},
      {head + "  conf 8 3x3",
       {"net, line 2, column 3: there is no layer \"conf\"", "did you mean conv?", "CHANNELS KxK"}},
      {head + "transformer", {"line 2, column 1", "\"transformer\"", "one of: conv, dense, norm, relu, "}},
      {head + "b:", {"line 2, column 3: a layer is missing"}},
      {head + "conv 8 3x3 strid 2", {"line 2, column 12: conv takes no \"strid\"", "did you mean stride?"}},
      {head + "conv 8 3x3 no bais", {"column 12: conv takes no \"no bais\"", "did you mean no bias?"}},
      {head + "relu 5", {"column 6: relu takes no \"5\"", "written as relu"}},
      {head + "maxpool 2 exclude pad", {"column 11: maxpool takes no \"exclude pad\""}},
      {head + "norm layer momentum 0.5", {"column 12: norm takes no \"momentum\""}},
      {head + "conv 8 3x3 pad 1 stride 2 pad 2", {"column 27: pad is given twice"}},
      {head + "conv 8 3x3 groups 2 depthwise", {"column 21: groups is given twice"}},
      {head + "conv 8", {"line 2, column 7: KxK is missing", "conv CHANNELS KxK [stride N] [pad P]"}},
      {head + "conv", {"column 5: CHANNELS is missing"}},
      {head + "norm", {"column 5: its kind is missing", "batch | l1 | l2 | linf | layer | group GROUPS"}},
      {head + "norm bach", {"column 6: \"bach\" is no norm", "did you mean batch?"}},
      {head + "norm group", {"column 11: GROUPS is missing"}},
      {head + "clip 0", {"column 7: HIGH is missing"}},
      {head + "relu from", {"column 10: a value is missing"}},
      {head + "conv eight 3x3", {"column 6: CHANNELS: \"eight\" is not allowed", "a whole number >= 1"}},
      {head + "conv 0 3x3", {"column 6: CHANNELS: \"0\""}},
      {head + "conv 2.5 3x3", {"column 6: CHANNELS: \"2.5\""}},
      {head + "conv 99999999999999999999 3x3", {"column 6: CHANNELS"}},
      {head + "conv 8 3", {"column 8: \"3\" is no kernel", "3x3"}},
      {head + "conv 8 3x", {"column 8: \"3x\" is no kernel"}},
      {head + "conv 8 0x3", {"column 8: \"0x3\" is no kernel"}},
      {head + "conv 8 3x3 stride 0", {"column 19: stride: \"0\"", "a whole number >= 1"}},
      {head + "conv 8 3x3 stride", {"column 18: stride is missing"}},
      {head + "conv 8 3x3 pad 1 2", {"column 19: pad has two numbers", "TOP LEFT BOTTOM RIGHT"}},
      {head + "conv 8 3x3 pad 1 2 3 no bias", {"column 22: pad has three numbers"}},
      {head + "conv 8 3x3 pad -1", {"column 16: pad: \"-1\"", "a whole number >= 0"}},
      {head + "zeropad", {"column 8: zeropad is missing"}},
      {head + "norm batch eps 0", {"column 16: eps: \"0\"", "a number > 0"}},
      {head + "norm batch eps 1e999", {"column 16: eps: \"1e999\""}},
      {head + "norm batch momentum 1.5", {"column 21: momentum: \"1.5\"", ">= 0 and <= 1"}},
      {head + "dropout 1", {"column 9: RATE: \"1\"", ">= 0 and < 1"}},
      {head + "clip nan 6", {"column 6: LOW: \"nan\"", "finite"}},
      {head + "maxpool 16", {"column 9: K: \"16\"", "<= 15"}},
      {head + "a: relu", {"line 2, column 1: \"a\" is a name already", "of line 1"}},
      {"1: conv 4 3x3\nconv 4 3x3", {"line 2, column 1: \"1\" is a name already", "of line 1"}},
      {head + "input: relu", {"line 2, column 1: \"input\" is the images' own name"}},
      {head + "a/b: relu", {"line 2, column 1: \"a/b\" is no name", "letters, digits"}},
      {head + "relu from c", {"line 2, column 11: there is no value \"c\""}},
      {"first: conv 4 3x3\nrelu from frist", {"line 2, column 11", "did you mean first?"}},
      {head + "add from a, b\nb: relu", {"line 2, column 13: \"b\" is made later, in line 3", "no cycles"}},
      {head + "b: add from a, b", {"line 2, column 16: \"b\" is this layer itself"}},
      {head + "relu from a, a", {"line 2, column 1: relu takes one value, and here are 2"}},
      {head + "add", {"column 1: add takes two values or more, and here is 1", "from VALUE, VALUE"}},
      {head + "mul from a", {"column 1: mul takes two values, and here is 1"}},
      {head + "mul from a, a, a", {"column 1: mul takes two values, and here are 3"}},
      {head + "add from a a", {"line 2, column 12: \"a\" is not expected", "commas"}},
      {head + "add from a, ", {"a value is missing"}},
      {head + "add from , a", {"line 2, column 10: a value is missing"}},
      {head + "relu from a from a", {"line 2, column 13: \"from\" is not expected"}},
      {head + "}", {"line 2, column 1: this } closes nothing"}},
      {"\nrepeat 2 b {\nrelu\n", {"line 2, column 1: this repeat is not closed"}},
      {"repeat 2 b {\n}\n", {"line 2, column 1: nothing is repeated"}},
      {"repeat 2 b {\nrelu }\n", {"line 2, column 6: relu takes no \"}\""}},
      {"repeat 2 b { relu\n}\n", {"line 1, column 14: \"relu\" is not expected", "lines of its own"}},
      {"repeat 2 b {\nrelu\n} relu\n", {"line 3, column 3: \"relu\" is not expected"}},
      {"repeat 2 b\nrelu\n}\n", {"line 1, column 11: a { is expected", "repeat COUNT PREFIX [from FIRST] {"}},
      {"repeat 0 b {\nrelu\n}\n", {"line 1, column 8: COUNT: \"0\" is not allowed", ">= 1"}},
      {"repeat b {\nrelu\n}\n", {"line 1, column 8: COUNT: \"b\""}},
      {"repeat 2 {\nrelu\n}\n", {"line 1, column 10: \"{\" is no name"}},
      {"repeat 2 b from x {\nrelu\n}\n", {"line 1, column 17: FIRST: \"x\""}},
      {"repeat 10001 b {\nrelu\n}\n", {"line 1, column 8: COUNT: \"10001\""}},
      {"repeat 101 b {\nrepeat 100 c {\nrelu\n}\n}\n", {"line 3, column 1: the network has more than 10000 layers"}},
      {"repeat 1 b {\nx: conv 4 1x1\n}\nrepeat 1 b {\nx: relu\n}\n",
       {"line 5, column 1: \"b.0.x\" is a name already", "of line 2"}},
      {"repeat 1 b {\nrelu\n}\nrepeat 1 b {\nrelu\nadd from 0, input\n}\n",
       {"line 6, column 10: \"0\" are several layers", "a name"}},
  };
  for (const auto& [text, words] : rows) {
    SCOPED_TRACE(text);
    const std::string told = expect_error<UsageError>([&, &t = text] { read(t); }, words);
    EXPECT_EQ(expect_error<UsageError>([&, &t = text] { check_layer_text(t, "net"); }, {}), told);
  }
}

TEST(LayerText, IsBoundedInDepthAndLengthOfNames) {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "repeat 1 b {\n";
  expect_error<UsageError>([&] { read(deep); }, {"line 17, column 1: more than 16 repeats"});
  const std::string name(200, 'b'), longer(201, 'b');
  expect_error<UsageError>([&] { read(longer + ": relu"); }, {"is no name", "at most 200"});
  expect_error<UsageError>([&] { read("repeat 2 " + name + " {\nrepeat 2 c {\nrelu\n}\n}\n"); },
                           {"line 2", "too long"});
  const std::string long_word(100000, 'x');
  EXPECT_LT(expect_error<UsageError>([&] { read(long_word); }, {"there is no layer"}).size(), 2000u);
}

TEST(LayerText, ShapeErrorsNameTheLine) {
  const auto refused = [](const std::string& text, const std::vector<std::string>& words) {
    expect_error<UsageError>([&] { output_shapes(read(text)); }, words);
  };
  refused("conv 8 3x3\n\na: conv 16 3x3 stride 2\nb: add from a, 0\nflatten\ndense 3\n",
          {"network, line 4, b: add", "14×14×16 and 30×30×8 do not add"});
  refused("repeat 9 p {\n  maxpool 2\n}\nflatten\ndense 3\n", {"network, line 2, max pool 2×2", "does not fit"});
  refused("conv 4 1x1\nb: relu\nconv 4 1x1 from 0\nflatten\ndense 3\n", {"network, line 2, b: nobody takes its value"});
  refused("conv 4 1x1\n", {"network, line 1, 0: the network's output is 32×32×4"});
  refused("conv 4 1x1\nclip 6 0\nflatten\ndense 2\n", {"line 2", "clip from 6 to 0"});
}

}  // namespace
}  // namespace gradscape::testing
