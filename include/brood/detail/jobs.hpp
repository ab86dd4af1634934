// The jobs behind the verbs: what a call keeps of its types.
#pragma once

#include <brood/detail/archive_arrival.hpp>
#include <brood/detail/job.hpp>
#include <brood/detail/range.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace brood::detail {

void advance_progress(Progress& bar, std::uint64_t by);

inline void note_progress(Job& job, std::uint64_t by = 1) {
  if (job.progress != nullptr) [[unlikely]] {
    advance_progress(*job.progress, by);
  }
}

template <class R>
using value_or_nothing = std::conditional_t<std::is_void_v<R>, NoValue, R>;

template <class R>
value_or_nothing<R> read_result(wire::Reader& reader) {
  if constexpr (std::is_void_v<R>) {
    reader.finish();
    return {};
  } else {
    R value = wire::load<R>(reader);
    reader.finish();
    return value;
  }
}

// The answer of one task.
template <class R>
class OneResult {
 public:
  void set_value(std::uint64_t, wire::Reader& reader) { value_.emplace(read_result<R>(reader)); }
  void add_part(std::uint64_t offset, std::uint64_t total,
                std::span<const std::byte> bytes) requires kArrivesInParts<R> {
    if (offset == 0) {
      value_.emplace();
      if (!parts_) parts_.emplace();
    }
    parts_->add(*value_, offset, total, bytes);
  }
  void set_error(std::uint64_t, std::exception_ptr error) noexcept { error_ = std::move(error); }
  void set_count(std::uint64_t) noexcept {}
  bool failed() const noexcept { return error_ != nullptr; }
  R get() & {
    if (error_) std::rethrow_exception(error_);
    if constexpr (!std::is_void_v<R> && std::is_copy_constructible_v<R>) return *value_;
    if constexpr (!std::is_void_v<R> && !std::is_copy_constructible_v<R>) return std::move(*value_);
  }
  R get() && {
    if (error_) std::rethrow_exception(error_);
    if constexpr (!std::is_void_v<R>) return std::move(*value_);
  }

 private:
  struct NoParts {
    void reset() noexcept {}
  };
  template <class T, bool = kArrivesInParts<T>>
  struct PartsOf {
    using type = NoParts;
  };
  template <class T>
  struct PartsOf<T, true> {
    using type = std::optional<PartReader<T>>;
  };

  std::optional<value_or_nothing<R>> value_;
  std::exception_ptr error_;
  [[no_unique_address]] typename PartsOf<R>::type parts_;
};

// The answers of a range, by index; of several errors the first by index.
template <class R>
class ListResult {
 public:
  static constexpr bool kDirect = std::is_default_constructible_v<R> && std::is_move_assignable_v<R>;
  using Slot = std::conditional_t<kDirect, R, std::optional<R>>;

  void expect(std::uint64_t count) { slots_.resize(static_cast<std::size_t>(count)); }
  void set_value(std::uint64_t index, wire::Reader& reader) {
    const std::size_t i = static_cast<std::size_t>(index);
    if (i >= slots_.size()) slots_.resize(i + 1 > 2 * slots_.size() ? i + 1 : 2 * slots_.size());
    if constexpr (kDirect) {
      slots_[i] = read_result<R>(reader);
    } else {
      slots_[i].emplace(read_result<R>(reader));
    }
  }
  // Encodings side by side: how many it took before one that throws.
  std::size_t set_values(std::uint64_t first, const std::byte* bytes, std::size_t count) noexcept requires kFixed<R> {
    std::size_t done = 0;
    try {
      if constexpr (kDirect && kBulk<R>) {
        const std::size_t end = static_cast<std::size_t>(first) + count;
        if (end > slots_.size()) slots_.resize(end > 2 * slots_.size() ? end : 2 * slots_.size());
        std::memcpy(static_cast<void*>(slots_.data() + first), bytes, count * sizeof(R));
        return count;
      }
      for (; done < count; ++done) {
        wire::Reader reader(std::span(bytes + done * kFixedSize<R>, kFixedSize<R>));
        set_value(first + done, reader);
      }
    } catch (...) {
      // The one at which it stopped is set_value()'s, whose error is the task's.
    }
    return done;
  }
  void set_error(std::uint64_t index, std::exception_ptr error) noexcept {
    if (error_ && index >= error_index_) return;
    error_index_ = index;
    error_ = std::move(error);
  }
  void set_count(std::uint64_t count) { slots_.resize(static_cast<std::size_t>(count)); }
  bool failed() const noexcept { return error_ != nullptr; }
  std::vector<R> get() & {
    if (error_) std::rethrow_exception(error_);
    if constexpr (!std::is_copy_constructible_v<R>) {
      return std::move(*this).get();
    } else if constexpr (kDirect) {
      return slots_;
    } else {
      std::vector<R> values;
      values.reserve(slots_.size());
      for (auto& slot : slots_) values.push_back(*slot);
      return values;
    }
  }
  std::vector<R> get() && {
    if (error_) std::rethrow_exception(error_);
    if constexpr (kDirect) {
      return std::move(slots_);
    } else {
      std::vector<R> values;
      values.reserve(slots_.size());
      for (auto& slot : slots_) values.push_back(std::move(*slot));
      return values;
    }
  }

 private:
  std::vector<Slot> slots_;
  std::exception_ptr error_;
  std::uint64_t error_index_ = 0;
};

template <>
class ListResult<void> {
 public:
  void expect(std::uint64_t) {}
  void set_value(std::uint64_t, wire::Reader& reader) { reader.finish(); }
  std::size_t set_values(std::uint64_t, const std::byte*, std::size_t count) noexcept { return count; }
  void set_error(std::uint64_t index, std::exception_ptr error) noexcept {
    if (error_ && index >= error_index_) return;
    error_index_ = index;
    error_ = std::move(error);
  }
  void set_count(std::uint64_t) {}
  bool failed() const noexcept { return error_ != nullptr; }
  void get() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
  std::uint64_t error_index_ = 0;
};

// Where answers go, as the engine calls it. J has a member `result`.
template <class J>
std::size_t take_values(Job& job, std::uint64_t first, const std::byte* bytes, std::size_t count) noexcept {
  const std::size_t taken = static_cast<J&>(job).result.set_values(first, bytes, count);
  note_progress(job, taken);
  return taken;
}
template <class J>
void take_value(Job& job, std::uint64_t index, wire::Reader& reader) {
  static_cast<J&>(job).result.set_value(index, reader);
  note_progress(job);
}
template <class J>
void take_error(Job& job, std::uint64_t index, std::exception_ptr error) {
  static_cast<J&>(job).result.set_error(index, std::move(error));
  note_progress(job);
}
template <class J>
constexpr auto values_of() -> decltype(Job::Ops::values) {
  if constexpr (requires(J & job, const std::byte* bytes) { job.result.set_values(0, bytes, 0); }) {
    return &take_values<J>;
  } else {
    return nullptr;
  }
}
template <class J>
void take_part(Job& job, std::uint64_t offset, std::uint64_t total, std::span<const std::byte> bytes) {
  static_cast<J&>(job).result.add_part(offset, total, bytes);
  if (offset + bytes.size() == total) note_progress(job);
}
template <class J>
constexpr auto part_of() -> decltype(Job::Ops::part) {
  if constexpr (requires(J & job, std::span<const std::byte> bytes) { job.result.add_part(0, 0, bytes); }) {
    return &take_part<J>;
  } else {
    return nullptr;
  }
}
inline bool is_done(Job& job) { return job.done.load(Order::acquire); }

// One call, whose caller waits.
template <class R, class... Args>
class ApplyJob : public Job {
 public:
  ApplyJob(const wire::FunctionRef& f, const Args&... args) : Job(kOps, f), args_(args...) {
    total = 1;
    total_known = true;
  }

  OneResult<R> result;

 private:
  static void fill(Job& job, FrameWriter& frame) {
    auto& self = static_cast<ApplyJob&>(job);
    wire::Writer& writer = frame.begin(true);
    [&]<std::size_t... I>(std::index_sequence<I...>) { (wire::save(writer, std::get<I>(self.args_)), ...); }
    (std::index_sequence_for<Args...>{});
    frame.end();
    job.input_done = true;
  }
  static constexpr Ops kOps{&fill,   &take_value<ApplyJob>, &take_error<ApplyJob>, &is_done, nullptr, nullptr, nullptr,
                            nullptr, part_of<ApplyJob>()};

  std::tuple<const Args&...> args_;
};

// A range, whose caller waits.
template <class R, class Range>
class MapJob : public Job {
 public:
  MapJob(const wire::FunctionRef& f, Range& range) : Job(kOps, f), input_(range) {
    take_size(*this, range);
    if (total_known) result.expect(total);
    each = false;
    stop_on_error = true;
  }

  ListResult<R> result;

 private:
  static void fill(Job& job, FrameWriter& frame) { static_cast<MapJob&>(job).input_.fill(job, frame, true); }
  static Upstream upstream(Job& job) { return static_cast<MapJob&>(job).input_.upstream(); }
  static constexpr Ops kOps{
      &fill, &take_value<MapJob>, &take_error<MapJob>, &is_done, nullptr, nullptr, values_of<MapJob>(), &upstream};

  RangeInput<Range> input_;
};

}  // namespace brood::detail
