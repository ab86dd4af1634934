// The bodies of the pool's verbs: each packs a job and calls the engine.
#pragma once

#include <brood/detail/async_result.hpp>
#include <brood/detail/jobs.hpp>
#include <brood/detail/result_stream.hpp>
#include <brood/pool.hpp>

namespace brood::detail {

// Text that is only pointed at is copied into a string; everything else is used where it is.
template <class T>
decltype(auto) as_shipped(const T& value) {
  if constexpr (std::is_same_v<shipped_t<const T&>, T>) {
    return (value);
  } else {
    return shipped_t<const T&>(value);
  }
}

template <class F, class... Args>
inline constexpr bool check_call = [] {
  static_assert(callable_with<F, Args...>,
                "brood: the task's function cannot be called with these arguments (as they arrive in the worker: "
                "decayed, and string literals as std::string)");
  return callable_with<F, Args...>;
}();
template <class F, class Item>
inline constexpr bool check_starmap = [] {
  static_assert(kTupleLike<Item>,
                "brood: starmap takes a range of tuples, pairs or arrays: the arguments of each call");
  static_assert(
      !kTupleLike<Item> || SpreadCall<F, Item>::kPossible,
      "brood: the task's function cannot be called with these arguments (the tuples' elements as they arrive in the "
      "worker: decayed, and string literals as std::string)");
  return SpreadCall<F, Item>::kPossible;
}();

inline void set_options(Job& job, const TaskOptions& options) noexcept {
  job.chunksize = options.chunksize;
  job.retries = options.retries;
  job.progress = options.progress;
}

// The largest measured window, and so the memory of a stream that asked for none.
inline constexpr std::size_t kMostWindow = 8192;

template <class F, class... Args>
apply_result_t<F, Args...> Verbs::apply(F&& f, Args&&... args) const {
  if constexpr (check_call<std::decay_t<F>, shipped_t<Args>...>) {
    using Callable = std::decay_t<F>;
    const Callable& callable = f;
    const auto ref = make_function_ref<Callable, false, shipped_t<Args>...>(callable);
    return [&](const shipped_t<Args>&... shipped) {
      ApplyJob<apply_result_t<F, Args...>, shipped_t<Args>...> job(ref, shipped...);
      set_options(job, options_);
      engine::run(engine(), job, "apply");
      return std::move(job.result).get();
    }(as_shipped(args)...);
  }
}

template <class F, class... Args>
AsyncResult<apply_result_t<F, Args...>> Verbs::apply_async(F&& f, Args&&... args) const {
  if constexpr (check_call<std::decay_t<F>, shipped_t<Args>...>) {
    using Callable = std::decay_t<F>;
    using R = apply_result_t<F, Args...>;
    const Callable& callable = f;
    const auto ref = make_function_ref<Callable, false, shipped_t<Args>...>(callable);
    return [&](const shipped_t<Args>&... shipped) {
      auto* const job = new AsyncApplyJob<R, shipped_t<Args>...>(ref, shipped...);
      AsyncResult<R> result(engine_, job);
      set_options(*job, options_);
      engine::submit(engine(), *job, "apply_async");
      return result;
    }(as_shipped(args)...);
  }
}

template <bool Spread, class R, class F, class Range>
list_of_t<R> run_map(engine::Engine& engine, const TaskOptions& options, F& f, Range& range, const char* verb) {
  using Callable = std::decay_t<F>;
  const Callable& callable = f;
  MapJob<R, Range> job(make_function_ref<Callable, Spread, item_t<Range>>(callable), range);
  set_options(job, options);
  engine::run(engine, job, verb);
  job.result.set_count(job.accepted);
  return std::move(job.result).get();
}

template <class F, class Range>
auto Verbs::map(F&& f, Range&& range) const -> list_of_t<map_result_t<F, Range>> {
  if constexpr (check_call<std::decay_t<F>, item_t<Range>>) {
    return run_map<false, map_result_t<F, Range>>(engine(), options_, f, range, "map");
  }
}

template <class F, class T>
auto Verbs::map(F&& f, std::initializer_list<T> list) const -> list_of_t<map_result_t<F, std::initializer_list<T>&>> {
  using List = std::initializer_list<T>&;
  if constexpr (check_call<std::decay_t<F>, item_t<List>>) {
    return run_map<false, map_result_t<F, List>>(engine(), options_, f, list, "map");
  }
}

template <class F, class Range>
auto Verbs::starmap(F&& f, Range&& range) const -> list_of_t<starmap_result_t<F, Range>> {
  if constexpr (check_starmap<std::decay_t<F>, item_t<Range>>) {
    return run_map<true, starmap_result_t<F, Range>>(engine(), options_, f, range, "starmap");
  }
}

template <bool Spread, class R, class F, class Range>
auto Verbs::submit_list(F& f, Range& range, const char* verb) const -> AsyncResult<list_of_t<R>> {
  using Callable = std::decay_t<F>;
  const Callable& callable = f;
  auto* const job = new AsyncMapJob<R, Range>(make_function_ref<Callable, Spread, item_t<Range>>(callable), range);
  AsyncResult<list_of_t<R>> result(engine_, job);
  set_options(*job, options_);
  engine::submit(engine(), *job, verb);
  return result;
}

template <class F, class Range>
auto Verbs::map_async(F&& f, Range&& range) const -> AsyncResult<list_of_t<map_result_t<F, Range>>> {
  if constexpr (check_call<std::decay_t<F>, item_t<Range>>) {
    return submit_list<false, map_result_t<F, Range>>(f, range, "map_async");
  }
}

template <class F, class Range>
auto Verbs::starmap_async(F&& f, Range&& range) const -> AsyncResult<list_of_t<starmap_result_t<F, Range>>> {
  if constexpr (check_starmap<std::decay_t<F>, item_t<Range>>) {
    return submit_list<true, starmap_result_t<F, Range>>(f, range, "starmap_async");
  }
}

template <class F, class Range>
auto Verbs::stream(F&& f, Range&& range, bool ordered, const char* verb) const -> ResultStream<map_result_t<F, Range>> {
  if constexpr (check_call<std::decay_t<F>, item_t<Range>>) {
    using Callable = std::decay_t<F>;
    using R = map_result_t<F, Range>;
    std::size_t most = options_.window > 0 ? options_.window : kMostWindow;
    if constexpr (requires { std::ranges::size(range); }) {
      const std::size_t size = static_cast<std::size_t>(std::ranges::size(range));
      most = most < size ? most : (size > 0 ? size : 1);
    }
    auto* const job =
        new StreamJobOver<R, Range, Callable>(static_cast<F&&>(f), &make_function_ref<Callable, false, item_t<Range>>,
                                              static_cast<Range&&>(range), ordered, most);
    ResultStream<R> result(engine_, job, options_.window);
    set_options(*job, options_);
    engine::open(engine(), *job, verb);
    return result;
  }
}

template <class F, class Range>
auto Verbs::imap(F&& f, Range&& range) const -> ResultStream<map_result_t<F, Range>> {
  return stream(static_cast<F&&>(f), static_cast<Range&&>(range), true, "imap");
}

template <class F, class Range>
auto Verbs::imap_unordered(F&& f, Range&& range) const -> ResultStream<map_result_t<F, Range>> {
  return stream(static_cast<F&&>(f), static_cast<Range&&>(range), false, "imap_unordered");
}

}  // namespace brood::detail
