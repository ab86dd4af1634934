// The layouts that two processes share, frozen: whoever changes one of them sees it here first.
#include "channel/layout.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <type_traits>

#include "channel/ring.hpp"
#include "wire/frame.hpp"

namespace brood::channel {
namespace {

// Lines of the dispatcher.
static_assert(offsetof(Words, task_tail) == 0);
static_assert(offsetof(Words, result_head) == 64);
static_assert(offsetof(Words, revoke_from) == 128);
static_assert(offsetof(Words, wake_at) == 136);
static_assert(offsetof(Words, wants_space) == 144);
// Lines of the worker.
static_assert(offsetof(Words, task_head) == 192);
static_assert(offsetof(Words, result_tail) == 256);
static_assert(offsetof(Words, taken) == 264);
static_assert(offsetof(Words, sleep) == 320);
static_assert(offsetof(Words, state) == 324);
static_assert(offsetof(Words, busy_ns) == 384);
static_assert(offsetof(Words, timed_tasks) == 392);
static_assert(sizeof(Words) == 448 && alignof(Words) == kLine);
static_assert(std::is_standard_layout_v<Words> && std::is_trivially_destructible_v<Words>);

static_assert(offsetof(PoolWords, sleep_epoch) == 0);
static_assert(offsetof(PoolWords, busy_workers) == 64);
static_assert(offsetof(PoolWords, cpus) == 68);
static_assert(sizeof(PoolWords) == 128 && alignof(PoolWords) == kLine);
static_assert(std::is_standard_layout_v<PoolWords> && std::is_trivially_destructible_v<PoolWords>);

// Zeroed memory is a valid start of both: every first value is zero.
static_assert(static_cast<std::uint32_t>(WorkerState::starting) == 0 && static_cast<std::uint32_t>(Sleep::awake) == 0);
static_assert(sizeof(WorkerState) == 4 && sizeof(Sleep) == 4);

// The words are what the other process sees: no lock beside them, no padding in them.
static_assert(sizeof(std::atomic<std::uint64_t>) == 8 && std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint32_t>) == 4 && std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<Sleep>) == 4 && std::atomic<Sleep>::is_always_lock_free);
// A futex is the low half of a position.
static_assert(std::endian::native == std::endian::little);

static_assert(kHeaderBytes == 4096 && sizeof(Words) <= kHeaderBytes && sizeof(PoolWords) <= kHeaderBytes);
static_assert(kNeverRevoked == ~std::uint64_t{0});

using wire::FrameHeader;
static_assert(sizeof(FrameHeader) == 16 && alignof(FrameHeader) == 8);
static_assert(offsetof(FrameHeader, kind_and_length) == 0);
static_assert(offsetof(FrameHeader, function) == 8);
static_assert(offsetof(FrameHeader, count) == 12);
static_assert(std::is_trivially_copyable_v<FrameHeader> && std::is_standard_layout_v<FrameHeader>);

template <class Word>
std::size_t line_of(const Words& words, const Word& word) {
  return static_cast<std::size_t>(reinterpret_cast<const std::byte*>(&word) -
                                  reinterpret_cast<const std::byte*>(&words)) /
         kLine;
}

// Two writers in one cache line would slow each other down at every store.
TEST(Layout, NoLineHasTwoWriters) {
  const Words words{};
  for (const std::size_t dispatchers :
       {line_of(words, words.task_tail), line_of(words, words.result_head), line_of(words, words.revoke_from),
        line_of(words, words.wake_at), line_of(words, words.wants_space)}) {
    for (const std::size_t workers :
         {line_of(words, words.task_head), line_of(words, words.result_tail), line_of(words, words.taken),
          line_of(words, words.sleep), line_of(words, words.state), line_of(words, words.busy_ns),
          line_of(words, words.timed_tasks)}) {
      EXPECT_NE(dispatchers, workers);
    }
  }
}

}  // namespace
}  // namespace brood::channel
