#include <brood/archive.hpp>
#include <brood/error.hpp>

#include <string>

namespace brood::wire {

Reader::Reader(std::span<const std::byte> first, std::uint64_t total, Source& source) noexcept
    : begin_(first.data()), cur_(first.data()), end_(first.data() + first.size()), source_(&source) {
  if (first.size() > total) {
    end_ = begin_ + static_cast<std::size_t>(total);
  } else {
    beyond_ = total - first.size();
  }
}

// Gets the next window; the present one is used up.
void Reader::refill() {
  if (beyond_ == 0) fail("the bytes end within a value");
  const std::span<const std::byte> next = source_->next();
  if (next.empty()) fail("the bytes end within a value");
  const std::size_t size = next.size() < beyond_ ? next.size() : static_cast<std::size_t>(beyond_);
  before_ += static_cast<std::uint64_t>(end_ - begin_);
  begin_ = cur_ = next.data();
  end_ = begin_ + size;
  beyond_ -= size;
}

void Reader::read_slow(void* data, std::size_t size) {
  if (remaining() < size) fail("the bytes end within a value");
  auto* to = static_cast<std::byte*>(data);
  while (size != 0) {
    const std::span<const std::byte> some = take_some(size);
    std::memcpy(to, some.data(), some.size());
    to += some.size();
    size -= some.size();
  }
}

void Reader::check_length(std::size_t length, std::size_t each) const {
  if (each != 0 && length > remaining() / each) fail("a length that is larger than what follows");
}

std::size_t Reader::get_long_length(std::size_t each) {
  std::uint64_t length = get<unsigned char>();
  if (length == 0xFE) {
    length = get<std::uint32_t>();
  } else if (length == 0xFF) {
    length = get<std::uint64_t>();
  } else if (length >= Writer::kLongLength) {
    fail("a length that starts with an unused code");
  }
  check_length(length, each);
  return length;
}

std::size_t Reader::get_bits_length() {
  const std::size_t length = get_length(0);
  if (length / 8 + (length % 8 != 0 ? 1 : 0) > remaining()) fail("a length that is larger than what follows");
  return length;
}

void Reader::fail(const char* why) const {
  const std::uint64_t at = before_ + static_cast<std::uint64_t>(cur_ - begin_);
  throw ArchiveError(std::string("bad archive: ") + why + " (byte " + std::to_string(at) + " of " +
                     std::to_string(at + remaining()) + ")");
}

void check_type_hash(Reader& reader, std::uint64_t expected) {
  if (reader.get<std::uint64_t>() != expected) reader.fail("the bytes are of another type");
}

}  // namespace brood::wire
