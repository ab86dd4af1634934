// Function identity: how a callable is named to another process.
//
// One template instantiation makes one FunctionRecord per callable type and call; on the wire a record is its module
// and the offset in it, checked against the signature hash before it is ever called. Nothing is registered anywhere.
#pragma once

#include <brood/archive.hpp>
#include <brood/detail/invoke.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace brood {

template <class F, class... Args>
class Bound;

namespace wire {

// Where a call leaves its result. begin() and place() are called when there is one, and not before: the task may have
// forked, and its child may not answer. commit() sends the value that begin()'s writer took, while it is still alive.
class Answer {
 public:
  virtual Writer& begin() = 0;
  virtual void commit() = 0;
  // For FunctionRecord::call_fixed: where the bytes of the result belong.
  virtual std::byte* place() { return nullptr; }

 protected:
  ~Answer() = default;
};

struct FunctionRecord {
  std::uint64_t signature;
  // In the process that sends. `permanent`: the state is no more than the first `key_bytes` of the callable's memory,
  // and a program has few of them.
  void (*save)(const void* callable, Writer& state);
  bool permanent;
  std::uint8_t key_bytes;  // at most 16
  // In the process that runs.
  void* (*open)(Reader& state);                                // makes the callable from its state
  void (*close)(void* callable) noexcept;                      // and ends it
  void (*call)(void* callable, Reader& args, Answer& answer);  // one task; what is thrown is the task's error
  // The same call when arguments and result always have so many bytes, which saves all that is said about lengths;
  // null for other calls.
  void (*call_fixed)(void* callable, const std::byte* args, Answer& answer) = nullptr;
  std::uint32_t argument_bytes = 0;
  std::uint32_t result_bytes = 0;  // at least 1: for a task without a result a byte that means nothing
};

// A callable in the caller's hands.
struct FunctionRef {
  const FunctionRecord* record = nullptr;
  const void* callable = nullptr;
};

// The address of code or of a record, as another process can find it (module and offset). In src/wire/function.cpp.
void save_code(Writer& writer, const void* address);
const void* load_code(Reader& reader);

}  // namespace wire

namespace detail {

template <class T>
inline constexpr bool is_bound = false;
template <class F, class... Args>
inline constexpr bool is_bound<Bound<F, Args...>> = true;

template <class F>
inline constexpr bool is_function_pointer = std::is_pointer_v<F>&& std::is_function_v<std::remove_pointer_t<F>>;

// Member function pointers as the Itanium ABI lays them out: {address, or 1 + offset in the virtual table; adjustment}.
struct MemberFunction {
  std::uint64_t pointer;
  std::int64_t adjustment;
};

// The ways a callable's state can travel.
template <class F>
struct CallableKind {
  static constexpr bool kEmpty = std::is_empty_v<F> && std::is_default_constructible_v<F>;
  static constexpr bool kArchived =
      !kEmpty && !std::is_member_pointer_v<F> && !std::is_pointer_v<F> &&
      (is_bound<F> || std::is_aggregate_v<F> || requires(F f, wire::Writer& w) { f.serialize(w); });
  static constexpr bool kPlain = std::is_trivially_copyable_v<F> && std::is_standard_layout_v<F>;
  static constexpr bool kPermanent = kEmpty || is_function_pointer<F> || std::is_member_pointer_v<F>;
};

// How it does.
template <class F>
struct CallableCodec : CallableKind<F> {
  using CallableKind<F>::kEmpty, CallableKind<F>::kArchived, CallableKind<F>::kPlain, CallableKind<F>::kPermanent;
  static constexpr std::uint8_t kKeyBytes = kPermanent && !kEmpty ? sizeof(F) : 0;
  static_assert(kKeyBytes <= 16);

  static_assert(
      kPermanent || kArchived || kPlain,
      "brood: this callable cannot be sent to a process that already runs. A lambda may capture by value what "
      "is trivially copyable (never by reference); otherwise use brood::bind(f, args...), whose arguments are "
      "serialized, or give the functor a `template <class A> void serialize(A&)`. Process under fork takes any "
      "callable.");

  static void save(const F& f, wire::Writer& w) {
    if constexpr (kEmpty) {
      (void)f, (void)w;
    } else if constexpr (is_function_pointer<F>) {
      wire::save_code(w, reinterpret_cast<const void*>(f));
    } else if constexpr (std::is_member_function_pointer_v<F>) {
      const auto raw = std::bit_cast<MemberFunction>(f);
      const bool is_virtual = (raw.pointer & 1U) != 0;
      w.put(is_virtual);
      w.put(raw.adjustment);
      if (is_virtual) {
        w.put(raw.pointer);
      } else {
        wire::save_code(w, reinterpret_cast<const void*>(raw.pointer));
      }
    } else if constexpr (is_bound<F>) {
      f.save_state(w);
    } else if constexpr (kArchived) {
      wire::save(w, f);
    } else {
      w.write(&f, sizeof f);
    }
  }

  static F load(wire::Reader& r) {
    if constexpr (kEmpty) {
      (void)r;
      return F{};
    } else if constexpr (is_function_pointer<F>) {
      return reinterpret_cast<F>(const_cast<void*>(wire::load_code(r)));
    } else if constexpr (std::is_member_function_pointer_v<F>) {
      MemberFunction raw{};
      const bool is_virtual = wire::load<bool>(r);
      raw.adjustment = wire::load<std::int64_t>(r);
      raw.pointer = is_virtual ? wire::load<std::uint64_t>(r) : reinterpret_cast<std::uint64_t>(wire::load_code(r));
      return std::bit_cast<F>(raw);
    } else if constexpr (is_bound<F>) {
      return F::load_state(r);
    } else if constexpr (kArchived) {
      return wire::load<F>(r);
    } else {
      std::array<std::byte, sizeof(F)> raw;
      r.read(raw.data(), raw.size());
      return std::bit_cast<F>(raw);
    }
  }
};

// How an argument that a callable is bound to travels: as a value, or, if it is such a callable itself, as that.
template <class T>
inline constexpr bool kBoundCallable = is_bound<T> || is_function_pointer<T> || std::is_member_pointer_v<T>;

// Whether a callable can be sent at all, and whether a value can be sent as an argument bound to one.
template <class T>
inline constexpr bool kBoundArgument = kBoundCallable<T> || wire::is_archivable<T>();
template <class F>
inline constexpr bool kSendable = CallableKind<F>::kPermanent ||
                                  (CallableKind<F>::kArchived ? wire::is_archivable<F>() : CallableKind<F>::kPlain);
template <class F, class... Args>
inline constexpr bool kSendable<Bound<F, Args...>> = kSendable<F> && (kBoundArgument<Args> && ...);

template <class T>
void save_bound(wire::Writer& writer, const T& value) {
  if constexpr (kBoundCallable<T>) {
    CallableCodec<T>::save(value, writer);
  } else {
    wire::save(writer, value);
  }
}
template <class T>
T load_bound(wire::Reader& reader) {
  if constexpr (kBoundCallable<T>) {
    return CallableCodec<T>::load(reader);
  } else {
    return wire::load<T>(reader);
  }
}

// What a value is on its way: decayed, and text that is only pointed at becomes a string.
template <class T>
struct Shipped {
  using type = std::decay_t<T>;
};
template <class T>
requires std::is_convertible_v<T, std::string_view> &&(!std::is_same_v<std::remove_cvref_t<T>, std::string>)&&(
    std::is_pointer_v<std::decay_t<T>> || std::is_same_v<std::remove_cvref_t<T>, std::string_view>)struct Shipped<T> {
  using type = std::string;
};
template <class T>
using shipped_t = typename Shipped<T>::type;

struct NoValue {};  // the result of a task that returns void

template <class T>
struct ResultOf {
  using type = shipped_t<T>;
};
template <>
struct ResultOf<void> {
  using type = void;
};

constexpr std::uint64_t hash_text(std::string_view text) {
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325U;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x0000'0100'0000'01B3U;
  return hash;
}

// A task may take each of its arguments by any kind of reference. They are passed as rvalues if it can be called so,
// else as lvalues, else some this way and some that: a bit of `Lvalues` is set for an argument that is an lvalue.
template <unsigned Lvalues, std::size_t I, class T>
using passed_t = std::conditional_t<((Lvalues >> I) & 1U) != 0, T&, T>;
template <unsigned Lvalues, class Index, class F, class... Args>
inline constexpr bool takes = false;
template <unsigned Lvalues, std::size_t... I, class F, class... Args>
inline constexpr bool takes<Lvalues, std::index_sequence<I...>, F, Args...> =
    std::is_invocable_v<F&, passed_t<Lvalues, I, Args>...>;

inline constexpr unsigned kNotCallable = ~0U;

template <unsigned Lvalues, class F, class... Args>
constexpr unsigned choose_passing() {
  using Index = std::index_sequence_for<Args...>;
  constexpr unsigned kAll = (1U << sizeof...(Args)) - 1;
  if constexpr (Lvalues == 0 && takes<0, Index, F, Args...>) {
    return 0;
  } else if constexpr (Lvalues == 0 && takes<kAll, Index, F, Args...>) {
    return kAll;
  } else if constexpr (Lvalues > 0 && takes<Lvalues, Index, F, Args...>) {
    return Lvalues;
  } else if constexpr (sizeof...(Args) <= 5 && Lvalues + 1 < kAll) {  // every mixture, of a few arguments
    return choose_passing<Lvalues + 1, F, Args...>();
  } else {
    return kNotCallable;
  }
}
template <class F, class... Args>
inline constexpr unsigned kPassing = choose_passing<0, F, Args...>();
template <class F, class... Args>
inline constexpr bool callable_with = kPassing<F, Args...> != kNotCallable;

template <class F, std::size_t... I, class... Args>
constexpr decltype(auto) call_passing(F& f, std::index_sequence<I...>, Args&... args) {
  return detail::invoke(f, static_cast<passed_t<kPassing<F, Args...>, I, Args>&&>(args)...);
}
template <class F, class... Args>
constexpr decltype(auto) call_with(F& f, Args&... args) {
  return detail::call_passing(f, std::index_sequence_for<Args...>{}, args...);
}

// What a call returns; for one that cannot be made a type of its own, so that a verb can say what is wrong.
struct NotCallable {};
template <class F, class... Args>
struct CallResult {
  using type = NotCallable;
};
template <class F, class... Args>
requires callable_with<F, Args...>
struct CallResult<F, Args...> {
  using type = decltype(detail::call_with(std::declval<F&>(), std::declval<Args&>()...));
};
template <class T>
inline constexpr bool kTupleLike = requires {
  std::tuple_size<T>::value;
};
template <class T>
constexpr std::size_t tuple_length() {
  if constexpr (kTupleLike<T>) {
    return std::tuple_size_v<T>;
  } else {
    return 0;
  }
}
template <class F, class Tuple, class Index = std::make_index_sequence<tuple_length<Tuple>()>>
struct SpreadCall;
template <class F, class Tuple, std::size_t... I>
struct SpreadCall<F, Tuple, std::index_sequence<I...>> {
  static constexpr bool kPossible = callable_with<F, std::tuple_element_t<I, Tuple>...>;
  using type = typename CallResult<F, std::tuple_element_t<I, Tuple>...>::type;
};

template <class F, class Tuple, std::size_t... I>
constexpr decltype(auto) call_spread(F& f, Tuple& tuple, std::index_sequence<I...>) {
  using std::get;
  return detail::call_with(f, get<I>(tuple)...);
}
template <class F, class Tuple>
constexpr decltype(auto) spread(F& f, Tuple& tuple) {
  return detail::call_spread(f, tuple, std::make_index_sequence<std::tuple_size_v<Tuple>>{});
}

template <class Call>
void answer_with(wire::Answer& answer, Call&& call) {
  using Raw = decltype(call());
  if constexpr (std::is_void_v<Raw>) {
    call();
    answer.begin();
    answer.commit();
  } else {
    const typename ResultOf<Raw>::type result(call());
    wire::save(answer.begin(), result);
    answer.commit();
  }
}

// The bytes of arguments and results whose encoding always has the same size; 0 for all others.
inline constexpr std::size_t kLargestFixedCall = 512;

template <class... Args>
constexpr std::size_t fixed_call_bytes() {
  if constexpr (sizeof...(Args) > 0 && (kFixed<Args> && ...)) {
    return (kFixedSize<Args> + ...) <= kLargestFixedCall ? (kFixedSize<Args> + ...) : 0;
  } else {
    return 0;
  }
}
template <class Raw>
constexpr std::size_t fixed_result_bytes() {
  if constexpr (std::is_void_v<Raw>) {
    return 1;
  } else if constexpr (kFixed<typename ResultOf<Raw>::type>) {
    return kFixedSize<typename ResultOf<Raw>::type>;
  } else {
    return 0;
  }
}

// The record of F called with decoded Args: each an argument, or, for Spread, one tuple of them. Hidden: a library's
// record is its own and no other's, although the loader would make one of all that have this name.
template <class F, bool Spread, class... Args>
struct __attribute__((visibility("hidden"))) RecordOf {
  using Codec = CallableCodec<F>;
  static constexpr std::uint64_t signature() { return hash_text(__PRETTY_FUNCTION__); }

  static void save(const void* callable, wire::Writer& state) { Codec::save(*static_cast<const F*>(callable), state); }
  static void* open(wire::Reader& state) { return new F(Codec::load(state)); }
  static void close(void* callable) noexcept { delete static_cast<F*>(callable); }
  static void call(void* callable, wire::Reader& in, wire::Answer& answer) {
    F& f = *static_cast<F*>(callable);
    std::tuple<Args...> args{wire::load<Args>(in)...};
    in.finish();
    answer_with(answer, [&]() -> decltype(auto) { return called(f, args); });
  }
  static decltype(auto) called(F& f, std::tuple<Args...>& args) {
    if constexpr (Spread) {
      return spread(f, std::get<0>(args));
    } else {
      return spread(f, args);
    }
  }

  using Raw = decltype(called(std::declval<F&>(), std::declval<std::tuple<Args...>&>()));
  static constexpr std::size_t kArgumentBytes = fixed_call_bytes<Args...>();
  static constexpr std::size_t kResultBytes = fixed_result_bytes<Raw>();

  static void call_fixed(void* callable, const std::byte* in, wire::Answer& answer) {
    wire::Reader reader(std::span(in, kArgumentBytes));
    std::tuple<Args...> args{wire::load<Args>(reader)...};
    if constexpr (std::is_void_v<Raw>) {
      called(*static_cast<F*>(callable), args);
      answer.place();
    } else {
      const typename ResultOf<Raw>::type result(called(*static_cast<F*>(callable), args));
      detail::encode(answer.place(), result);
    }
  }
  static constexpr wire::FunctionRecord make_record() {
    wire::FunctionRecord made{signature(), &save, Codec::kPermanent, Codec::kKeyBytes, &open, &close, &call};
    if constexpr (kArgumentBytes > 0 && kResultBytes > 0) {
      made.call_fixed = &call_fixed;
      made.argument_bytes = kArgumentBytes;
      made.result_bytes = kResultBytes;
    }
    return made;
  }

  static constexpr wire::FunctionRecord record = make_record();
};

template <class F, bool Spread, class... Args>
wire::FunctionRef make_function_ref(const F& f) {
  return {&RecordOf<F, Spread, Args...>::record, &f};
}

}  // namespace detail
}  // namespace brood
