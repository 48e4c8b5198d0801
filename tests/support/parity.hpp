// Comparison with the results that tests/parity/make_parity.py stored.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "support/hash_values.hpp"

namespace gradscape::testing {

using Json = nlohmann::json;

inline Json load_parity(const std::string& name) {
  const std::string path = std::string(GRADSCAPE_TEST_DATA) + "/parity/data/" + name + ".json";
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  return Json::parse(file);
}

/// null stands for NaN.
inline double number(const Json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

/// How far `ours` is from a stored tensor, over its stored elements.
struct Difference {
  double largest = 0;    // max|a − b|
  double magnitude = 0;  // max|b|
  double euclidean = 0;  // ‖a − b‖₂ / ‖b‖₂, the denominator 1 where b is 0: the norm of make_parity.py's float32_error
  bool same_nan = true;  // NaN at the same places; they count in nothing else
};

template <class S>
Difference difference(const Vector<S>& ours, const Json& stored) {
  Difference result;
  double error = 0, square = 0;
  Index i = 0;
  const auto stride = stored.at("stride").get<Index>();
  for (const Json& entry : stored.at("values")) {
    const auto a = static_cast<double>(ours[i]);
    const double b = number(entry);
    i += stride;
    if (std::isnan(a) || std::isnan(b)) {
      result.same_nan = result.same_nan && std::isnan(a) && std::isnan(b);
      continue;
    }
    result.largest = std::max(result.largest, std::abs(a - b));
    result.magnitude = std::max(result.magnitude, std::abs(b));
    error += (a - b) * (a - b);
    square += b * b;
  }
  result.euclidean = std::sqrt(error) / (square > 0 ? std::sqrt(square) : 1.0);
  return result;
}

/// The worst that expect_parity met since the last reset, for the report.
struct Worst {
  double double_error = 0;  // max|a − b| / max|b|
  double float_ratio = 0;   // our float32 error to PyTorch's
};
inline Worst& worst() {
  static Worst value;
  return value;
}

/// Prints the worst of scalar type S and records it as a property of the running test.
template <class S>
void report_worst(const std::string& what) {
  const bool is_double = std::is_same_v<S, double>;
  const auto text = fmt::format("{:.3g}", is_double ? worst().double_error : worst().float_ratio);
  fmt::print("  {}, {}: {}\n", what, is_double ? "worst relative error" : "worst ratio of float32 error to PyTorch's",
             text);
  ::testing::Test::RecordProperty(is_double ? "worst_error" : "worst_float32_ratio", text);
}

/// double: max|a − b| ≤ 1e-9 max|b| over the stored elements, and for the elements in between likewise for the stored
/// projection, relative to the Euclidean norm of its terms.
/// float: ‖a − b‖ at most `factor` times what PyTorch's float32 result has. Only where PyTorch has no error at all (the
/// result is exact in float32, as with pooling, or of few elements that all happened to round to the exact value) that
/// is 0, and a last-bit difference in the order of additions would fail: there 4 eps of the magnitude are allowed.
template <class S>
void expect_parity(const std::string& what, const Vector<S>& ours, const Json& stored, double factor = 4) {
  SCOPED_TRACE(what);
  ASSERT_EQ(ours.size(), stored.at("size").get<Index>());
  const Difference d = difference(ours, stored);
  EXPECT_TRUE(d.same_nan);
  if constexpr (std::is_same_v<S, double>) {
    EXPECT_LE(d.largest, 1e-9 * d.magnitude);
    if (d.magnitude > 0) worst().double_error = std::max(worst().double_error, d.largest / d.magnitude);
    if (!stored.contains("projection")) return;
    double projection = 0, square = 0;
    for (Index i = 0; i < ours.size(); ++i) {
      const double term = ours[i] * hash_value(i, 999);
      projection += term;
      square += term * term;
    }
    EXPECT_NEAR(projection, stored.at("projection").get<double>(), 1e-9 * std::sqrt(square));
  } else {
    const auto torch_error = stored.at("float32_error").get<double>();
    const double floor = torch_error == 0 ? 4.0 * std::numeric_limits<float>::epsilon() : 0.0;
    EXPECT_LE(d.euclidean, factor * torch_error + floor);
    if (torch_error > 0) worst().float_ratio = std::max(worst().float_ratio, d.euclidean / torch_error);
  }
}

}  // namespace gradscape::testing
