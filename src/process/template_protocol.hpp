// What a TemplateProcess and the process behind it say to each other, one message per packet. The two are copies of one
// program image, so that the structs travel as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace brood::proc {

enum TemplateRequest : std::uint32_t { kSpawn = 1, kFinish = 2, kTerminate = 3, kKill = 4 };
enum TemplateReply : std::uint32_t { kSpawned = 1, kFailed = 2, kEnded = 3 };

struct RequestMessage {
  std::uint32_t kind;
  std::uint32_t reserved;
  std::uint64_t id;
};

struct ReplyMessage {
  std::uint32_t kind;
  std::int32_t pid;
  std::uint64_t id;
  std::int32_t code;  // errno of failed, exit code of ended
  std::int32_t core;
  std::int64_t max_rss_kib;
};

template <class T>
std::span<const std::byte> bytes_of(const T& message) noexcept {
  return std::as_bytes(std::span(&message, 1));
}

}  // namespace brood::proc
