// What an error must say.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gradscape/core/error.hpp"

namespace gradscape::testing {

/// action() must throw an E whose text holds every one of `words`; the text is returned.
template <class E = Error, class Action>
std::string expect_error(Action&& action, const std::vector<std::string>& words) {
  try {
    action();
  } catch (const E& error) {
    const std::string text = error.what();
    for (const auto& word : words)
      EXPECT_NE(text.find(word), std::string::npos) << "\"" << word << "\" is missing in: " << text;
    return text;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "an exception of another type: " << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error" << (words.empty() ? "" : " about " + words.front());
  return "";
}

}  // namespace gradscape::testing
