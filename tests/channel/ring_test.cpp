#include "channel/ring.hpp"

#include <brood/error.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>

#include "channel/rings.hpp"
#include "support/scale.hpp"

namespace brood::channel::testing {
namespace {

constexpr std::size_t kPage = 4096;

TEST(Ring, EmptyAtFirst) {
  TestRing ring(kPage);
  EXPECT_EQ(ring.writer.capacity(), kPage);
  EXPECT_EQ(ring.reader.capacity(), kPage);
  EXPECT_TRUE(ring.writer.empty());
  EXPECT_FALSE(ring.reader.ready());
  EXPECT_TRUE(ring.reader.window().empty());
  EXPECT_EQ(ring.writer.window(1).size(), kPage);
}

TEST(Ring, NothingIsSeenBeforeItIsPublished) {
  TestRing ring(kPage);
  fill(ring.writer.window(100).first(100), 0);
  EXPECT_FALSE(ring.reader.ready());
  ring.writer.publish(60);
  ASSERT_TRUE(ring.reader.ready());
  EXPECT_EQ(ring.reader.window().size(), 60U);
  EXPECT_EQ(right_bytes(ring.reader.window(), 0), 60U);
  ring.writer.publish(40);
  EXPECT_EQ(ring.reader.window().size(), 60U) << "the writer is asked only when nothing is left";
  EXPECT_EQ(ring.reader.fresh_window().size(), 100U);
}

TEST(Ring, FullAndEmptyAtEveryOffset) {
  TestRing ring(kPage);
  for (std::size_t offset = 0; offset <= kPage; ++offset) {
    const std::uint64_t position = ring.writer.position();
    ASSERT_EQ(position % kPage, offset % kPage);
    const auto window = ring.writer.window(kPage);
    ASSERT_EQ(window.size(), kPage);
    fill(window, position);
    ring.writer.publish(kPage);
    ASSERT_TRUE(ring.writer.window(1).empty());
    ASSERT_FALSE(ring.writer.empty());
    const auto full = ring.reader.window();
    ASSERT_EQ(full.size(), kPage);
    ASSERT_EQ(right_bytes(full, position), kPage);
    ring.reader.consume(kPage);
    ASSERT_FALSE(ring.reader.ready());
    ASSERT_TRUE(ring.writer.window(1).empty()) << "room before it was released";
    ring.reader.release();
    ASSERT_TRUE(ring.writer.empty());
    ring.move(1);
  }
}

// A piece that crosses the end of the memory is in one piece all the same.
TEST(Ring, EveryOffsetAndLengthIsContiguous) {
  for (std::uint64_t begin = kPage - 40; begin <= kPage + 8; ++begin) {
    for (std::size_t length = 1; length <= 48; ++length) {
      TestRing ring(kPage, begin);
      fill(ring.writer.window(length).first(length), begin);
      ring.writer.publish(length);
      const auto window = ring.reader.window();
      ASSERT_EQ(window.size(), length);
      ASSERT_EQ(right_bytes(window, begin), length) << "offset " << begin << ", length " << length;
      ASSERT_EQ(ring.writer.at(begin)[0], byte_at(begin));
    }
  }
}

TEST(Ring, RoomComesBackInParts) {
  TestRing ring(kPage);
  ring.writer.window(kPage);
  ring.writer.publish(kPage);
  std::size_t released = 0;
  for (const std::size_t part : {1U, 7U, 500U, 3588U}) {
    ring.reader.window();
    ring.reader.consume(part);
    ring.reader.release();
    released += part;
    EXPECT_EQ(ring.writer.window(released).size(), released);
  }
  EXPECT_EQ(released, kPage);
  EXPECT_TRUE(ring.writer.empty());
}

// The writer looks at the reader's word only when what it knows does not suffice.
TEST(Ring, TheWindowIsAtLeastWhatIsWanted) {
  TestRing ring(kPage);
  ring.writer.window(kPage);
  ring.writer.publish(kPage - 10);
  ring.reader.window();
  ring.reader.consume(1000);
  ring.reader.release();
  EXPECT_EQ(ring.writer.window(10).size(), 10U);
  EXPECT_EQ(ring.writer.window(11).size(), 1010U);
}

TEST(Ring, RandomStepsKeepEveryByte) {
  std::mt19937 random(7);
  TestRing ring(kPage);
  std::uint64_t written = 0, read = 0, released = 0;
  for (std::size_t round = 0; round < brood::testing::scaled(200'000); ++round) {
    if (random() % 2 == 0) {
      const std::size_t wanted = random() % 700;
      const auto window = ring.writer.window(wanted);
      ASSERT_EQ(window.size() >= wanted, kPage - (written - released) >= wanted);
      const std::size_t count = std::min<std::size_t>(wanted, window.size());
      fill(window.first(count), written);
      ring.writer.publish(count);
      written += count;
    } else {
      const auto window = random() % 3 == 0 ? ring.reader.fresh_window() : ring.reader.window();
      ASSERT_LE(window.size(), written - read);
      ASSERT_EQ(right_bytes(window, read), window.size());
      const std::size_t count = window.empty() ? 0 : random() % (window.size() + 1);
      ring.reader.consume(count);
      read += count;
      if (random() % 2 == 0) {
        ring.reader.release();
        released = read;
      }
    }
    ASSERT_EQ(ring.writer.position(), written);
    ASSERT_EQ(ring.reader.position(), read);
  }
}

// --- the other end lies --------------------------------------------------------------------------------------------

// Every value that is not between what was consumed and what fits.
TEST(Ring, AReaderRefusesAnImpossibleWriter) {
  for (const std::uint64_t tail : {std::uint64_t{100 + kPage + 1}, std::uint64_t{99}, std::uint64_t{0},
                                   ~std::uint64_t{0}, std::uint64_t{1} << 63U, std::uint64_t{1} << 32U}) {
    TestRing ring(kPage, 100);
    ring.tail.store(tail);
    EXPECT_TRUE(ring.reader.ready());
    EXPECT_THROW(ring.reader.window(), ArchiveError) << tail;
    EXPECT_THROW(ring.reader.fresh_window(), ArchiveError) << tail;
  }
}

TEST(Ring, AReaderNeverLeavesTheMemory) {
  std::mt19937_64 random(3);
  TestRing ring(kPage, 100);
  for (std::size_t round = 0; round < brood::testing::scaled(100'000); ++round) {
    ring.tail.store(random() % 4 == 0 ? random() : ring.reader.position() + random() % (2 * kPage));
    try {
      const auto window = ring.reader.fresh_window();
      ASSERT_LE(window.size(), kPage);
      ASSERT_GE(window.data(), ring.memory.data());
      ASSERT_LE(window.data() + window.size(), ring.memory.data() + 2 * kPage);
      ring.reader.consume(window.empty() ? 0 : random() % window.size());
    } catch (const ArchiveError&) {
    }
  }
}

TEST(Ring, AWriterThatWasLiedToHasNoRoom) {
  for (const std::uint64_t head : {std::uint64_t{501}, ~std::uint64_t{0}, std::uint64_t{1} << 63U, std::uint64_t{99}}) {
    TestRing ring(kPage, 100);
    ring.writer.window(kPage);  // now it knows that 100 bytes were consumed
    ring.writer.publish(400);
    EXPECT_FALSE(ring.writer.damaged());
    ring.head.store(head);
    EXPECT_TRUE(ring.writer.window(kPage).empty()) << head;
    EXPECT_TRUE(ring.writer.damaged()) << head;
    ring.head.store(500);  // telling the truth again does not help
    EXPECT_TRUE(ring.writer.window(kPage).empty()) << head;
    EXPECT_TRUE(ring.writer.damaged());
  }
}

TEST(Ring, AWriterNeverLeavesTheMemory) {
  std::mt19937_64 random(4);
  TestRing ring(kPage);
  for (std::size_t round = 0; round < brood::testing::scaled(20'000); ++round) {
    ring.tail.store(0);
    ring.head.store(0);
    RingWriter writer(ring.memory.data(), kPage, ring.tail, ring.head);
    for (int i = 0; i < 8; ++i) {
      const auto window = writer.window(random() % (kPage + 1));
      ASSERT_LE(window.size(), kPage);
      ASSERT_GE(window.data(), ring.memory.data());
      ASSERT_LE(window.data() + window.size(), ring.memory.data() + 2 * kPage);
      writer.publish(window.empty() ? 0 : random() % window.size());
      ring.head.store(random() % 4 == 0 ? random() : writer.position() - random() % (2 * kPage));
    }
  }
}

}  // namespace
}  // namespace brood::channel::testing
