#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <string>

#include "gradscape/core/parallel.hpp"
#include "support/bits.hpp"
#include "support/hash_values.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

TEST(Parallel, ForEachVisitsEveryIndexOnce) {
  for (const int threads : {1, 2, 4}) {
    const WithThreads scope(threads);
    for (const Index count : {0, 1, 2, 3, 1000}) {
      std::vector<int> visits(static_cast<std::size_t>(count));
      parallel::for_each(count, [&](Index i) { ++visits[static_cast<std::size_t>(i)]; });
      for (const int visit : visits) EXPECT_EQ(visit, 1);
    }
  }
}

TEST(Parallel, ANegativeCountIsNothing) {
  parallel::for_each(-1, [](Index) { FAIL(); });
}

TEST(Parallel, ChunksTileTheRange) {
  for (const Index total : {0, 1, 9, 10, 11, 95}) {
    const Index count = parallel::chunk_count(total, 10);
    EXPECT_EQ(count, (total + 9) / 10);
    std::vector<std::pair<Index, Index>> chunks(static_cast<std::size_t>(count));
    parallel::for_chunks(total, 10, [&](Index first, Index last, Index number) {
      chunks[static_cast<std::size_t>(number)] = {first, last};
    });
    Index next = 0;
    for (const auto& [first, last] : chunks) {
      EXPECT_EQ(first, next);
      EXPECT_TRUE(last > first && last <= first + 10);
      next = last;
    }
    EXPECT_EQ(next, total);
  }
}

TEST(Parallel, AnExceptionInsideALoopIsRethrown) {
  for (const int threads : {1, 2, 4}) {
    const WithThreads scope(threads);
    for (const Index count : {1, 2, 100}) {
      std::atomic<int> later{0};
      try {
        parallel::for_each(count, [&](Index i) {
          if (i == count - 1) throw std::runtime_error("at " + std::to_string(i));
          ++later;
        });
        FAIL() << "nothing thrown";
      } catch (const std::runtime_error& error) {
        EXPECT_EQ(error.what(), "at " + std::to_string(count - 1));
      }
    }
    // Every iteration throws: one of them arrives, and the next loop runs as if nothing had been.
    EXPECT_THROW(parallel::for_each(100, [](Index) { throw std::logic_error("each"); }), std::logic_error);
    EXPECT_THROW(parallel::sum_chunks(100, 7, [](Index, Index) -> double { throw 3; }), int);
    EXPECT_EQ(parallel::sum_chunks(100, 7, [](Index first, Index last) { return last - first; }), 100);
  }
}

// Terms of mixed size, so that another order of additions would give other bits.
TEST(Parallel, SumsHaveTheSameBitsForAnyNumberOfThreads) {
  constexpr Index kTotal = 12345, kChunk = 100;
  auto values = hash_values<double>(kTotal, 1);
  for (Index i = 0; i < kTotal; ++i) values[i] *= std::exp2(static_cast<double>(i % 60) - 30) * 1.1;
  const auto term = [&](Index first, Index last) {
    return std::accumulate(values.data() + first, values.data() + last, 0.0);
  };
  // The definition: chunk sums, added in order.
  double expected = 0;
  for (Index first = 0; first < kTotal; first += kChunk) expected += term(first, std::min(first + kChunk, kTotal));
  double backwards = 0;
  for (Index chunk = kTotal / kChunk; chunk >= 0; --chunk)
    backwards += term(chunk * kChunk, std::min((chunk + 1) * kChunk, kTotal));
  EXPECT_FALSE(same_bits(expected, backwards)) << "the test could not see a changed order";

  for (int repetition = 0; repetition < 20; ++repetition)
    compare_thread_counts([&] { return parallel::sum_chunks(kTotal, kChunk, term); },
                          [&](int threads, double one, double many) {
                            EXPECT_TRUE(same_bits(one, expected));
                            EXPECT_TRUE(same_bits(many, expected)) << threads << " threads";
                          });
}

TEST(Parallel, AnEmptySumIsZero) {
  EXPECT_EQ(parallel::sum_chunks(0, 10, [](Index, Index) { return 1.5; }), 0.0);
}

TEST(Parallel, ThreadsAreCounted) {
  const WithThreads scope(3);
  EXPECT_EQ(parallel::threads(), 3);
  EXPECT_THROW(parallel::set_threads(0), std::logic_error);
  EXPECT_EQ(parallel::threads(), 3);
}

TEST(Parallel, InitialiseFixesEigensBlocking) {
  parallel::initialise();
  EXPECT_EQ(Eigen::l1CacheSize(), 32 * 1024);
  EXPECT_EQ(Eigen::l2CacheSize(), 1024 * 1024);
  EXPECT_EQ(Eigen::l3CacheSize(), 16 * 1024 * 1024);
  EXPECT_EQ(Eigen::nbThreads(), 1);
}

}  // namespace
}  // namespace gradscape::testing
