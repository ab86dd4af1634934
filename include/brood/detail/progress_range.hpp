// Loops with a progress bar: brood::progress(range) and brood::progress(stream).
#pragma once

#include <brood/detail/durations.hpp>
#include <brood/detail/iterators.hpp>
#include <brood/progress.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace brood {

namespace detail {

// Results that arrive while others are still being worked on, such as the ones of Pool::imap.
template <class S>
concept ProgressStreamSource = requires(S& stream, std::chrono::nanoseconds wait) {
  {*stream.next_for(wait)};
  {static_cast<bool>(stream.next_for(wait))};
  { stream.completed() } -> std::convertible_to<std::uint64_t>;
  { stream.total() } -> std::convertible_to<std::optional<std::uint64_t>>;
  { stream.done() } -> std::convertible_to<bool>;
};

template <class R>
concept ProgressIterable = requires(R& range) {
  std::ranges::begin(range);
  std::ranges::end(range);
};

template <class R>
ProgressOptions with_total_of(R& range, ProgressOptions&& options) {
  if constexpr (requires { std::ranges::size(range); }) {
    if (!options.total) options.total = static_cast<std::uint64_t>(std::ranges::size(range));
  }
  return std::move(options);
}

}  // namespace detail

// What progress(range) returns: the range, kept by reference or, a temporary one, inside, and its bar. An input range:
// go through it once; the bar counts an element when the loop is done with it, and ends with the loop.
//
// Thread safety: as the range's; the bar's calls as Progress says. Across fork: as Progress says.
template <class R>
class ProgressRange {
 public:
  class Iterator;
  using Sentinel = decltype(std::ranges::end(std::declval<std::remove_reference_t<R>&>()));

  ProgressRange(R&& range, ProgressOptions&& options)
      : range_(std::forward<R>(range)), bar_(detail::with_total_of(range_, std::move(options))) {}

  Iterator begin() { return Iterator(std::ranges::begin(range_), bar_); }
  Sentinel end() { return std::ranges::end(range_); }
  // For set_postfix(), write() and the like: auto files = progress(names); for (auto& f : files) files.bar().write(f);
  Progress& bar() noexcept { return bar_; }

 private:
  R range_;
  Progress bar_;
};

template <class R>
class ProgressRange<R>::Iterator {
 public:
  using Base = decltype(std::ranges::begin(std::declval<std::remove_reference_t<R>&>()));
  using iterator_concept = std::input_iterator_tag;
  using difference_type = std::iter_difference_t<Base>;
  using value_type = std::iter_value_t<Base>;

  Iterator(Base base, Progress& bar) : base_(std::move(base)), bar_(&bar) {}

  decltype(auto) operator*() const { return *base_; }
  Iterator& operator++() {
    ++base_;
    bar_->count_in_loop();
    return *this;
  }
  void operator++(int) { ++*this; }

  // The comparison that ends the loop ends the bar.
  friend bool operator==(const Iterator& it, const Sentinel& end) {
    if (!(it.base_ == end)) return false;
    it.bar_->close();
    return true;
  }

 private:
  Base base_;
  Progress* bar_;
};

// What progress(stream) returns. The bar shows how many are completed, whatever the order they are handed out in, also
// while the loop waits for the next one.
template <class S>
class ProgressStream {
 public:
  class Iterator;
  struct Sentinel {};
  using Element =
      std::remove_cvref_t<decltype(*std::declval<std::remove_reference_t<S>&>().next_for(std::chrono::nanoseconds()))>;

  ProgressStream(S&& stream, ProgressOptions&& options)
      : interval_(interval_of(options)), stream_(std::forward<S>(stream)), bar_(with_total(std::move(options))) {}

  // Waits for the first element.
  Iterator begin() {
    advance();
    return Iterator(*this);
  }
  Sentinel end() const noexcept { return {}; }
  Progress& bar() noexcept { return bar_; }

 private:
  static std::chrono::nanoseconds interval_of(const ProgressOptions& options) {
    // An element ends the wait early, so this is only how often a waiting bar is looked at.
    constexpr std::chrono::duration<double> kShortest = std::chrono::milliseconds(10);
    constexpr std::chrono::duration<double> kLongest = std::chrono::seconds(1);
    const auto wanted = options.mininterval < kShortest  ? kShortest
                        : options.mininterval < kLongest ? options.mininterval
                                                         : kLongest;
    return std::chrono::duration_cast<std::chrono::nanoseconds>(wanted);
  }

  ProgressOptions with_total(ProgressOptions&& options) {
    if (!options.total) options.total = stream_.total();
    fixed_total_ = options.total.has_value();
    return std::move(options);
  }

  void advance() {
    element_.reset();
    for (;;) {
      auto next = stream_.next_for(interval_);
      if (!fixed_total_ && stream_.total()) bar_.set_total(stream_.total());
      bar_.update_to(initial_ + static_cast<std::uint64_t>(stream_.completed()));
      if (next) {
        element_.emplace(*std::move(next));
        return;
      }
      if (stream_.done()) {
        bar_.close();
        return;
      }
      bar_.tick();
    }
  }

  const std::chrono::nanoseconds interval_;
  bool fixed_total_ = false;
  S stream_;
  Progress bar_;  // after the stream: it is closed first, because ending a stream may take a while
  std::uint64_t initial_ = bar_.n();
  std::optional<Element> element_;
};

template <class S>
class ProgressStream<S>::Iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using difference_type = std::ptrdiff_t;
  using value_type = Element;

  explicit Iterator(ProgressStream& stream) : stream_(&stream) {}

  Element& operator*() const { return *stream_->element_; }
  Iterator& operator++() {
    stream_->advance();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const Iterator& it, Sentinel) { return it.ended(); }

 private:
  bool ended() const { return !stream_->element_; }

  ProgressStream* stream_;
};

// A view of `range` to loop over, with a bar whose total is the range's size where it has one:
//
//   for (auto& x : progress(items, {.desc = "work"})) work(x);
//
// Throws what the constructor of Progress throws. An exception out of the loop ends the bar where it stands.
template <detail::ProgressIterable R>
requires(!detail::ProgressStreamSource<std::remove_reference_t<R>>)
    ProgressRange<R> progress(R&& range, ProgressOptions options = {}) {
  return ProgressRange<R>(std::forward<R>(range), std::move(options));
}

template <class S>
requires detail::ProgressStreamSource<std::remove_reference_t<S>> ProgressStream<S> progress(
    S&& stream, ProgressOptions options = {}) {
  return ProgressStream<S>(std::forward<S>(stream), std::move(options));
}

}  // namespace brood
