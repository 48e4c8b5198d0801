#include <gtest/gtest.h>

#include "gradscape/core/fingerprint.hpp"

namespace gradscape {
namespace {

std::string hash_of(std::string_view text) {
  Fingerprint hash;
  hash.add(text);
  return hash.hex();
}

// XXH3_64bits with seed 0, as `xxhsum -H3` prints it.
TEST(Fingerprint, KnownAnswers) {
  EXPECT_EQ(Fingerprint().hex(), "2d06800538d394c2");
  EXPECT_EQ(hash_of(""), "2d06800538d394c2");
  EXPECT_EQ(hash_of("a"), "e6c632b61e964e1f");
  EXPECT_EQ(hash_of("abc"), "78af5f94892f3950");
}

TEST(Fingerprint, DoesNotDependOnHowTheBytesAreCut) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>(i * 31 % 251);
  for (const std::size_t piece : {1, 3, 240, 1024, 4999}) {
    Fingerprint hash;
    for (std::size_t i = 0; i < text.size(); i += piece) hash.add(std::string_view(text).substr(i, piece));
    EXPECT_EQ(hash.hex(), hash_of(text)) << piece;
  }
}

TEST(Fingerprint, SeesEveryBitAndTheOrder) {
  Vector<float> values = Vector<float>::LinSpaced(1000, -1, 1);
  const std::string before = fingerprint(values);
  EXPECT_EQ(before.size(), 16u);
  EXPECT_EQ(before, fingerprint(values));
  values[999] = std::nextafter(values[999], 2.0f);
  EXPECT_NE(before, fingerprint(values));
  EXPECT_NE(hash_of("ab"), hash_of("ba"));
  EXPECT_NE(fingerprint(Vector<float>{{0.0f}}), fingerprint(Vector<float>{{-0.0f}}));
}

TEST(Fingerprint, ReadingDoesNotEndIt) {
  Fingerprint hash;
  hash.add("ab");
  EXPECT_EQ(hash.hex(), hash_of("ab"));
  hash.add("c");
  EXPECT_EQ(hash.hex(), hash_of("abc"));
}

TEST(Fingerprint, NumbersAreTheirEightBytes) {
  Fingerprint hash;
  hash.add(std::uint64_t{0x6867666564636261});  // "abcdefgh" on a little-endian machine
  EXPECT_EQ(hash.hex(), hash_of("abcdefgh"));
}

}  // namespace
}  // namespace gradscape
