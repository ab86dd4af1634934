#include "pool/parcel.hpp"

#include <algorithm>
#include <functional>

namespace brood::engine {
namespace {

bool lies_in(std::span<const std::byte> piece, std::span<const std::byte> window) noexcept {
  const std::less<> before;
  return !window.empty() && !before(piece.data(), window.data()) && before(piece.data(), window.data() + window.size());
}

}  // namespace

void Parcel::copy(std::span<const std::byte> bytes) {
  if (bytes.size() > kSmall) return own(std::vector<std::byte>(bytes.begin(), bytes.end()));
  std::copy(bytes.begin(), bytes.end(), small_.begin());
  length_ = bytes.size();
}

void Parcel::own(std::vector<std::byte> bytes) {
  hold_ = std::make_unique<Hold>();
  hold_->owned = std::move(bytes);
  hold_->pieces.assign(1, std::span<const std::byte>(hold_->owned));
  length_ = hold_->owned.size();
}

void Parcel::take(wire::Writer&& writer, std::span<const std::byte> window) {
  hold_ = std::make_unique<Hold>();
  hold_->writer = std::move(writer);
  hold_->pieces = hold_->writer.pieces();
  length_ = hold_->writer.size();
  std::size_t foreign = 0;
  for (const auto& piece : hold_->pieces) foreign += lies_in(piece, window) ? piece.size() : 0;
  hold_->owned.reserve(foreign);  // no reallocation below: the pieces stay where they are
  for (auto& piece : hold_->pieces) {
    if (!lies_in(piece, window)) continue;
    const std::size_t at = hold_->owned.size();
    hold_->owned.insert(hold_->owned.end(), piece.begin(), piece.end());
    piece = std::span<const std::byte>(hold_->owned).subspan(at, piece.size());
  }
}

void Parcel::take_payload(Parcel& other) noexcept {
  length_ = other.length_;
  small_ = other.small_;
  hold_ = std::move(other.hold_);
}

void Parcel::detach() {
  std::vector<std::byte> all;
  all.reserve(length_);
  for (std::size_t i = 0; i < pieces(); ++i) all.insert(all.end(), piece(i).begin(), piece(i).end());
  own(std::move(all));
}

}  // namespace brood::engine
