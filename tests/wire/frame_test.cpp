#include "wire/frame.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

namespace brood::wire {
namespace {

// The numbers are what two processes of one program tell each other by.
static_assert(static_cast<int>(FrameKind::task) == 1 && static_cast<int>(FrameKind::define) == 2);
static_assert(static_cast<int>(FrameKind::init) == 3 && static_cast<int>(FrameKind::stop) == 4);
static_assert(static_cast<int>(FrameKind::batch) == 5 && static_cast<int>(FrameKind::block) == 6);
static_assert(static_cast<int>(FrameKind::posted) == 7);
static_assert(static_cast<int>(RecordStatus::value) == 1 && static_cast<int>(RecordStatus::error) == 2);
static_assert(static_cast<int>(RecordStatus::declined) == 3 && static_cast<int>(RecordStatus::init_failed) == 4);
static_assert(static_cast<int>(RecordStatus::values) == 5);
static_assert(sizeof(FrameHeader) == 16, "frames begin at multiples of 8 bytes");

TEST(Frame, HeadersKeepWhatTheySay) {
  constexpr std::uint64_t kLongest = 0x00FF'FFFF'FFFF'FFFFU;
  for (const FrameKind kind : {FrameKind::task, FrameKind::define, FrameKind::init, FrameKind::stop, FrameKind::batch,
                               FrameKind::block, FrameKind::posted}) {
    for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32U, kLongest}) {
      const FrameHeader header = make_frame_header(kind, 0xFFFF'FFFFU, 12345, length);
      EXPECT_EQ(header.kind(), kind);
      EXPECT_EQ(header.length(), length);
      EXPECT_EQ(header.function, 0xFFFF'FFFFU);
      EXPECT_EQ(header.count, 12345U);
    }
  }
}

TEST(Frame, RecordsKeepWhatTheySay) {
  std::mt19937_64 random(1);
  for (const RecordStatus status : {RecordStatus::value, RecordStatus::error, RecordStatus::declined,
                                    RecordStatus::init_failed, RecordStatus::values}) {
    for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{5} << 30U, kMaxRecordLength}) {
      for (int i = 0; i < 100; ++i) {
        const std::uint64_t sequence = random();
        const Record record = unpack_record(pack_record(status, sequence, length));
        EXPECT_EQ(record.status, status);
        EXPECT_EQ(record.sequence, static_cast<std::uint16_t>(sequence));
        EXPECT_EQ(record.length, length);
      }
    }
  }
}

// Every word is some record: nothing of it is lost, nothing reaches beyond what may be asked for.
TEST(Frame, EveryWordCanBeRead) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t word = i == 0 ? 0 : i == 1 ? ~std::uint64_t{0} : random();
    const Record record = unpack_record(word);
    EXPECT_LE(record.length, kMaxRecordLength);
    EXPECT_EQ(pack_record(record.status, record.sequence, record.length), word);
  }
}

TEST(Frame, Padding) {
  for (std::uint64_t length = 0; length < 100; ++length) {
    EXPECT_EQ(padded(length) % 8, 0U);
    EXPECT_GE(padded(length), length);
    EXPECT_LT(padded(length), length + 8);
  }
  EXPECT_EQ(padded(kMaxRecordLength), kMaxRecordLength + 1);
}

}  // namespace
}  // namespace brood::wire
