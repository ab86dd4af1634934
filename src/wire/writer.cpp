#include <brood/archive.hpp>
#include <brood/error.hpp>

#include <cstdlib>
#include <new>
#include <string>

namespace brood::wire {
namespace {

constexpr std::size_t kSmallestBuffer = 256;

struct Reference {
  std::size_t at;  // how many bytes that are not referred to come before it
  const std::byte* data;
  std::size_t size;
};

}  // namespace

struct Writer::Own {
  std::byte* buffer = nullptr;  // from malloc()
  std::size_t capacity = 0;
  std::vector<Reference> references;
};

Writer::Own& Writer::own() {
  if (own_ == nullptr) own_ = new Own;
  return *own_;
}

void Writer::release() noexcept {
  std::free(own_->buffer);
  delete own_;
}

void Writer::swap(Writer& other) noexcept {
  std::swap(begin_, other.begin_);
  std::swap(cur_, other.cur_);
  std::swap(end_, other.end_);
  std::swap(own_, other.own_);
  std::swap(referred_, other.referred_);
  std::swap(depth_, other.depth_);
  std::swap(references_, other.references_);
  std::swap(spilled_, other.spilled_);
}

void Writer::write_slow(const void* data, std::size_t size) {
  grow(size);
  std::memcpy(cur_, data, size);
  cur_ += size;
}

// Makes room for `size` more bytes in the own buffer; what is in the window moves there.
void Writer::grow(std::size_t size) {
  const auto used = static_cast<std::size_t>(cur_ - begin_);
  if (size > SIZE_MAX / 4 - used) throw std::bad_alloc();
  Own& mine = own();
  if (mine.capacity < used + size) {
    std::size_t capacity = 2 * used > used + size ? 2 * used : used + size;
    if (capacity < kSmallestBuffer) capacity = kSmallestBuffer;
    // realloc() moves pages instead of bytes when the block is large.
    auto* buffer = static_cast<std::byte*>(std::realloc(mine.buffer, capacity));
    if (buffer == nullptr) throw std::bad_alloc();
    mine.buffer = buffer;
    mine.capacity = capacity;
  }
  if (!spilled_ && used != 0) std::memcpy(mine.buffer, begin_, used);
  spilled_ = true;
  begin_ = mine.buffer;
  cur_ = begin_ + used;
  end_ = begin_ + mine.capacity;
}

void Writer::refer(const void* data, std::size_t size) {
  own().references.push_back({static_cast<std::size_t>(cur_ - begin_), static_cast<const std::byte*>(data), size});
  referred_ += size;
}

void Writer::put_long_length(std::size_t length) {
  if (length <= UINT32_MAX) {
    const auto small = static_cast<std::uint32_t>(length);
    std::byte* at = extend(1 + sizeof(small));
    at[0] = std::byte{0xFE};
    std::memcpy(at + 1, &small, sizeof(small));
  } else {
    const std::uint64_t large = length;
    std::byte* at = extend(1 + sizeof(large));
    at[0] = std::byte{0xFF};
    std::memcpy(at + 1, &large, sizeof(large));
  }
}

std::vector<std::span<const std::byte>> Writer::pieces() const {
  std::vector<std::span<const std::byte>> result;
  std::size_t done = 0;
  if (referred_ != 0) {
    for (const Reference& reference : own_->references) {
      if (reference.at != done) result.push_back({begin_ + done, reference.at - done});
      result.push_back({reference.data, reference.size});
      done = reference.at;
    }
  }
  const auto plain = static_cast<std::size_t>(cur_ - begin_);
  if (plain != done) result.push_back({begin_ + done, plain - done});
  return result;
}

void Writer::append_to(std::string& out) const {
  out.reserve(out.size() + static_cast<std::size_t>(size()));
  for (const auto piece : pieces()) out.append(reinterpret_cast<const char*>(piece.data()), piece.size());
}

void Writer::append_to(std::vector<std::byte>& out) const {
  out.reserve(out.size() + static_cast<std::size_t>(size()));
  for (const auto piece : pieces()) out.insert(out.end(), piece.begin(), piece.end());
}

std::string Writer::take_string() {
  std::string out;
  append_to(out);
  reset();
  return out;
}

std::vector<std::byte> Writer::take() {
  std::vector<std::byte> out;
  append_to(out);
  reset();
  return out;
}

void Writer::reset(std::span<std::byte> window) noexcept {
  reset();
  begin_ = cur_ = window.data();
  end_ = begin_ + window.size();
  spilled_ = false;
}

void Writer::reset() noexcept {
  cur_ = begin_;
  if (referred_ != 0) own_->references.clear();
  referred_ = 0;
  depth_ = 0;
}

void Writer::truncate(std::uint64_t size) noexcept {
  while (referred_ != 0) {
    const Reference& last = own_->references.back();
    if (last.at + referred_ - last.size < size) break;
    referred_ -= last.size;
    own_->references.pop_back();
  }
  cur_ = begin_ + static_cast<std::size_t>(size - referred_);
}

void Writer::fail(const char* why) { throw ArchiveError(std::string("cannot be archived: ") + why); }

void Writer::too_deep() { fail("the value is nested too deeply"); }

}  // namespace brood::wire
