// Bytes as an exception in transit: always an exception that can be caught in each of its ways, or an ArchiveError.
#include <brood/error.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <system_error>

#include "wire/exception.hpp"

namespace {

using namespace brood::wire;

void check(const std::exception_ptr& exception) {
  if (exception == nullptr) std::abort();
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& caught) {
    const auto* remote = dynamic_cast<const brood::RemoteError*>(&caught);
    if (remote == nullptr || caught.what() == nullptr) std::abort();
    static_cast<void>(std::strlen(caught.what()) + std::strlen(remote->what()));
    if (const auto* system = dynamic_cast<const std::system_error*>(&caught)) {
      static_cast<void>(system->code().message());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader reader(std::as_bytes(std::span(data, size)));
  std::exception_ptr exception;
  try {
    exception = load_exception(reader, 1, 2);
  } catch (const brood::ArchiveError&) {
    return 0;
  }
  check(exception);
  // As from a pool in a task of another pool.
  Writer writer;
  save_exception(writer, exception);
  const std::string bytes = writer.take_string();
  Reader again(std::as_bytes(std::span(bytes)));
  check(load_exception(again, 3, 4));
  again.finish();
  return 0;
}
