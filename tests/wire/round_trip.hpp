// What must hold for a value of any type that can be archived.
#pragma once

#include <brood/archive.hpp>
#include <brood/error.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "wire/round_trip_source.hpp"

namespace brood::wire {

template <class T>
Bytes saved(const T& value) {
  Writer writer;
  save(writer, value);
  return writer.take();
}

template <class T>
T loaded(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  T value = load<T>(reader);
  reader.finish();
  return value;
}

template <class T, class Equal = std::equal_to<>>
void expect_round_trip(const T& value, Equal equal = {}) {
  const Bytes bytes = saved(value);
  ASSERT_FALSE(bytes.empty()) << "an encoding of no bytes lets a length of 2^60 through";
  EXPECT_TRUE(equal(loaded<T>(bytes), value));

  Bytes longer = bytes;
  longer.push_back(std::byte{0});
  EXPECT_THROW(loaded<T>(longer), ArchiveError);

  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(loaded<T>(cut), ArchiveError) << "cut to " << size << " of " << bytes.size();
    // The source ends before what was announced: the source's own exception comes through.
    SteppingSource source(cut, 5);
    Reader reader({}, bytes.size(), source);
    EXPECT_THROW(load<T>(reader), EndOfFile) << "source ends at " << size << " of " << bytes.size();
  }

  for (const std::size_t step : {1U, 2U, 3U, 7U, 64U}) {
    const std::size_t first = std::min(step - 1, bytes.size());
    const std::span<const std::byte> all(bytes);
    SteppingSource source(all.subspan(first), step);
    Reader reader(all.first(first), bytes.size(), source);
    EXPECT_TRUE(equal(load<T>(reader), value)) << "in windows of " << step;
    EXPECT_EQ(reader.remaining(), 0U);
  }

  for (std::size_t size = 0; size <= bytes.size() + 1; ++size) {
    Bytes window(size);
    Writer writer{std::span(window)};
    save(writer, value);
    EXPECT_EQ(writer.in_window(), size >= bytes.size());
    EXPECT_EQ(writer.size(), bytes.size());
    EXPECT_EQ(writer.take(), bytes) << "in a window of " << size;
  }
}

// Into a value that holds something already.
template <class T, class Equal = std::equal_to<>>
void expect_load_into(T existing, const T& value, Equal equal = {}) {
  const Bytes bytes = saved(value);
  Reader reader{std::span<const std::byte>(bytes)};
  load_into(reader, existing);
  EXPECT_TRUE(equal(existing, value));
  EXPECT_EQ(reader.remaining(), 0U);
}

}  // namespace brood::wire
