#include "process/letter.hpp"

#include <brood/error.hpp>

#include <cstdint>
#include <cstring>

#include "os/socket.hpp"

namespace brood::proc {
namespace {

constexpr std::size_t kMostInMessage = 32 * 1024;
enum : std::uint8_t { kInMessage = 1, kInFile = 2 };

}  // namespace

bool send_letter(int socket, const wire::Writer& writer, std::span<const int> fds) {
  const std::uint64_t size = writer.size();
  std::vector<std::byte> message{std::byte{kInMessage}};
  if (size <= kMostInMessage) {
    message.reserve(1 + static_cast<std::size_t>(size));
    writer.append_to(message);
    return os::send_message(socket, message, fds);
  }
  // Written, not mapped: where there is no memory for it, that is an error here instead of a SIGBUS.
  const os::Fd file = os::make_memfd("brood-letter", static_cast<std::size_t>(size));
  for (const std::span<const std::byte> piece : writer.pieces()) os::write_all(file.get(), piece.data(), piece.size());
  message.front() = std::byte{kInFile};
  message.resize(1 + sizeof size);
  std::memcpy(message.data() + 1, &size, sizeof size);
  std::vector<int> all{file.get()};
  all.insert(all.end(), fds.begin(), fds.end());
  return os::send_message(socket, message, all);
}

std::optional<Letter> Letter::receive(int socket) {
  Letter letter;
  letter.small_.resize(os::next_message_size(socket));
  if (letter.small_.empty()) return std::nullopt;
  std::size_t length = 0;
  if (os::receive_message(socket, letter.small_, length, letter.fds_, true) != os::Received::message) {
    return std::nullopt;
  }
  if (letter.small_.front() != std::byte{kInFile}) return letter;
  std::uint64_t size = 0;
  if (length != 1 + sizeof size || letter.fds_.empty()) throw ArchiveError("bad letter: no file goes with it");
  std::memcpy(&size, letter.small_.data() + 1, sizeof size);
  letter.size_ = static_cast<std::size_t>(size);
  letter.large_ = os::Mapping::shared(letter.fds_.front().get(), 0, letter.size_, os::Access::read);
  letter.fds_.erase(letter.fds_.begin());
  return letter;
}

}  // namespace brood::proc
