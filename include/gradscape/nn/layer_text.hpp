// Networks as text: the language of docs/guide/own-networks.md.
#pragma once

#include <string>

#include "gradscape/nn/model_graph.hpp"

namespace gradscape {

/// Nodes of a network's text, repeats written out: at most.
inline constexpr std::size_t kMostNodes = 10000;

/// The network of a text for images of shape `input`; loss and label smoothing are the caller's to set. `where` names
/// the text in messages: "model.layers". UsageError with line, column and what was expected: an unknown layer, argument
/// or value, an argument twice or missing, a number that is none or out of its range, a name used twice, a value used
/// before it is made, `from` with another number of values than the layer takes, unbalanced braces, no statement, or
/// more than kMostNodes. Whether the shapes fit is output_shapes()'s to say.
ModelGraph parse_graph(const std::string& text, FeatureShape input, const std::string& where);

/// The same errors, where the images are not known.
void check_layer_text(const std::string& text, const std::string& where);

/// Gives a name, its number, to each value without one that not the next node alone takes: a text could not say else
/// which one is meant. Graphs of parse_graph() and of the zoo have such names.
void name_branches(ModelGraph& graph);

/// The text of a network without its loss, a statement a line; of a graph with names as name_branches() gives them,
/// parse_graph() makes the same graph of it.
std::string graph_text(const ModelGraph& graph);

}  // namespace gradscape
