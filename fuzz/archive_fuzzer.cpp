// Bytes as values of every kind of type. The first byte chooses the type, the second how the rest arrives: at once, or
// in windows of some size. What can be loaded must survive another round trip.
#include <brood/archive.hpp>
#include <brood/error.hpp>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "wire/everything.hpp"
#include "wire/round_trip_source.hpp"

namespace {

using namespace brood::wire;

template <class T>
void check(Reader& reader) {
  try {
    const T value = load<T>(reader);
    reader.finish();
    Writer first;
    save(first, value);
    const Bytes bytes = first.take();
    Reader again{std::span<const std::byte>(bytes)};
    const T copy = load<T>(again);
    again.finish();
    Writer second;
    save(second, copy);
    if (second.size() != bytes.size()) std::abort();
  } catch (const brood::ArchiveError&) {
  }
}

void check_type(unsigned type, Reader& reader) {
  switch (type % 10) {
    case 0:
      return check<Everything>(reader);
    case 1:
      return check<Containers>(reader);
    case 2:
      return check<Tree>(reader);
    case 3:
      return check<Value>(reader);
    case 4:
      return check<std::vector<Constant>>(reader);
    case 5:
      return check<std::string>(reader);
    case 6:
      return check<std::vector<Block>>(reader);
    case 7:
      return check<std::vector<std::vector<bool>>>(reader);
    case 8:
      return check<std::map<std::string, std::vector<std::deque<int>>>>(reader);
    default:
      return check<std::vector<std::tuple<Numbers, std::optional<Numbers>>>>(reader);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const unsigned type = data[0], step = data[1];
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(2);
  if (step == 0) {
    Reader reader(bytes);
    check_type(type, reader);
  } else {
    SteppingSource source(bytes, step);
    Reader reader({}, bytes.size(), source);
    check_type(type, reader);
  }
  return 0;
}
