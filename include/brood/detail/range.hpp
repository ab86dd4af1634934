// Reading the input of a call, element by element.
#pragma once

#include <brood/detail/iterators.hpp>
#include <brood/detail/job.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace brood::detail {

template <class Range>
using iterator_t = decltype(std::ranges::begin(std::declval<Range&>()));
template <class Range>
using sentinel_t = decltype(std::ranges::end(std::declval<Range&>()));
// The type in which an element travels.
template <class Range>
using item_t = shipped_t<std::iter_value_t<iterator_t<Range>>>;

template <class R>
struct ListOf {
  using type = std::vector<R>;
};
template <>
struct ListOf<void> {
  using type = void;
};
template <class R>
using list_of_t = typename ListOf<R>::type;

// Writes the elements of a range, one task each. The range must outlive it.
template <class Range>
class RangeInput {
 public:
  using Item = item_t<Range>;
  // A single-pass range may make its elements while it is read: it may wait, or use the pool itself.
  static constexpr bool kApart = !std::forward_iterator<iterator_t<Range>>;

  explicit RangeInput(Range& range) : range_(&range) {
    if constexpr (!kApart) begin();
  }

  // `stable`: the caller waits, so that elements that are objects of the range stay where they are.
  void fill(Job& job, FrameWriter& frame, bool stable) {
    constexpr bool kObjects = std::is_lvalue_reference_v<std::iter_reference_t<iterator_t<Range>>> &&
                              std::is_same_v<std::remove_cvref_t<std::iter_reference_t<iterator_t<Range>>>, Item> &&
                              std::forward_iterator<iterator_t<Range>>;
    if constexpr (kApart) {
      if (!at_) begin();
    }
    if constexpr (kFixed<Item>) {
      if (frame.item_bytes() == kFixedSize<Item>) return fill_fixed(job, frame);
    }
    auto& [it, end] = *at_;
    while (frame.wants_more()) {
      // Stepped on only when the next element is wanted: an input range may wait for it, or count what it gave.
      if (step_first_) {
        step_first_ = false;
        ++it;
      }
      if (it == end) {
        job.input_done = true;
        return;
      }
      wire::Writer& writer = frame.begin(stable && kObjects);
      if constexpr (std::is_convertible_v<std::iter_reference_t<iterator_t<Range>>, const Item&>) {
        const Item& item = *it;  // the element itself, if it is of the type in which it travels
        wire::save(writer, item);
      } else {
        wire::save(writer, Item(*it));
      }
      if (!frame.end()) return;
      step_first_ = true;
    }
    if (job.total_known && job.next_index + frame.count() == job.total) job.input_done = true;
  }

  // Of a stream of results: what can be read of it now. Nothing of any other range.
  Upstream upstream() {
    if constexpr (requires { range_->upstream(); }) {
      Upstream up = range_->upstream();
      if (at_ && !step_first_) ++up.ready;  // the element at which it stands
      return up;
    } else {
      return {};
    }
  }

 private:
  // The memory of the range is the encoding of its elements.
  static constexpr bool kPlain = [] {
    if constexpr (std::contiguous_iterator<iterator_t<Range>> &&
                  std::sized_sentinel_for<sentinel_t<Range>, iterator_t<Range>>) {
      return kBulk<Item> && std::is_same_v<std::remove_cvref_t<std::iter_reference_t<iterator_t<Range>>>, Item>;
    } else {
      return false;
    }
  }();

  void fill_fixed(Job& job, FrameWriter& frame) {
    auto& [it, end] = *at_;
    if constexpr (kPlain) {
      const std::size_t left = static_cast<std::size_t>(end - it);
      const std::size_t count = left < frame.most_items() ? left : frame.most_items();
      if (count > 0) std::memcpy(frame.extend(count), std::to_address(it), count * sizeof(Item));
      it += static_cast<std::iter_difference_t<iterator_t<Range>>>(count);
      job.input_done = count == left;
    } else {
      for (std::size_t left = frame.most_items(); left > 0; --left) {
        if (step_first_) {
          step_first_ = false;
          ++it;
        }
        if (it == end) {
          job.input_done = true;
          return;
        }
        if constexpr (std::is_convertible_v<std::iter_reference_t<iterator_t<Range>>, const Item&>) {
          const Item& item = *it;
          detail::encode(frame.extend(1), item);
        } else {
          const Item item(*it);
          detail::encode(frame.extend(1), item);
        }
        step_first_ = true;
      }
      if (job.total_known && job.next_index + frame.count() == job.total) job.input_done = true;
    }
  }

  struct At {
    iterator_t<Range> it;
    sentinel_t<Range> end;
  };
  void begin() { at_.emplace(At{std::ranges::begin(*range_), std::ranges::end(*range_)}); }

  Range* range_;
  std::optional<At> at_;  // a single-pass range begins when its first element is wanted
  bool step_first_ = false;
};

template <class Range>
void take_size(Job& job, Range& range) {
  job.apart = RangeInput<std::remove_reference_t<Range>>::kApart;
  if constexpr (requires { std::ranges::size(range); }) {
    job.total = static_cast<std::uint64_t>(std::ranges::size(range));
    job.total_known = true;
    job.input_done = job.total == 0;
  }
}

}  // namespace brood::detail
