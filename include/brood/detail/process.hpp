// How Process keeps a callable of any type, and sends it to a process that inherits nothing. Not for users.
#pragma once

#include <brood/detail/bind.hpp>

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

namespace brood {

class Process;

namespace detail {

struct ProcessState;
class ProcessBody;
class ProcessAccess;

// Makes a body from its bytes. There is one for each type of body; another process finds it by its place in the
// program.
struct ProcessImage {
  std::uint64_t signature;
  ProcessBody* (*load)(wire::Reader& reader);
};

// What a child runs.
class ProcessBody {
 public:
  ProcessBody() = default;
  ProcessBody(const ProcessBody&) = delete;
  ProcessBody& operator=(const ProcessBody&) = delete;
  virtual ~ProcessBody();
  virtual void run() = 0;
  // Appends the body's bytes. Throws ProcessError when it can only be inherited.
  virtual const ProcessImage& save(wire::Writer& writer) const;
  // The object that it is the run() of, if any.
  virtual Process* process() { return nullptr; }
};

class ProcessBodyOwner {
 public:
  explicit ProcessBodyOwner(ProcessBody* body) noexcept : body_(body) {}
  ProcessBodyOwner(ProcessBodyOwner&& other) noexcept : body_(other.release()) {}
  ProcessBodyOwner& operator=(ProcessBodyOwner&&) = delete;
  ~ProcessBodyOwner() { delete body_; }
  ProcessBody* release() noexcept { return std::exchange(body_, nullptr); }

 private:
  ProcessBody* body_;
};

// Throws the ProcessError that says why this can only be started by fork.
[[noreturn]] void refuse_to_send(const char* why);

template <class Body>
struct __attribute__((visibility("hidden"))) ImageOf {
  static constexpr std::uint64_t signature() { return hash_text(__PRETTY_FUNCTION__); }
  static ProcessBody* load(wire::Reader& reader) { return new Body(reader); }
  static constexpr ProcessImage image{signature(), &load};
};

template <class F, class... Args>
class BoundBody final : public ProcessBody {
 public:
  template <class G, class... A>
  explicit BoundBody(std::in_place_t, G&& f, A&&... args) : f_(std::forward<G>(f)), args_(std::forward<A>(args)...) {}
  explicit BoundBody(wire::Reader& reader)
      : f_(CallableCodec<F>::load(reader)), args_{detail::load_bound<Args>(reader)...} {}

  void run() override { std::apply(std::move(f_), std::move(args_)); }

  const ProcessImage& save(wire::Writer& writer) const override {
    if constexpr (!kSendable<F>) {
      detail::refuse_to_send(
          "its function cannot be sent to a process that does not inherit it: a lambda may capture by value what is "
          "trivially copyable (never by reference); a functor needs a `template <class A> void serialize(A&)`; "
          "brood::bind(f, args...) sends its arguments serialized");
    } else if constexpr (!(kBoundArgument<shipped_t<Args>> && ...)) {
      detail::refuse_to_send(
          "one of its arguments cannot be archived, so that it cannot be sent to a process that does not inherit it; "
          "<brood/archive.hpp> says what can");
    } else if constexpr (!std::is_invocable_v<F, shipped_t<Args>...>) {
      detail::refuse_to_send(
          "its function does not take std::string, as which text that is only pointed at is sent to a process that "
          "does not inherit it");
    } else {
      CallableCodec<F>::save(f_, writer);
      std::apply([&](const Args&... args) { (save_argument(writer, args), ...); }, args_);
      return ImageOf<BoundBody<F, shipped_t<Args>...>>::image;
    }
  }

 private:
  template <class T>
  static void save_argument(wire::Writer& writer, const T& value) {
    if constexpr (std::is_same_v<shipped_t<T>, T>) {
      detail::save_bound(writer, value);
    } else {
      const ReferencesOff temporary(writer);
      detail::save_bound(writer, shipped_t<T>(value));
    }
  }

  F f_;
  std::tuple<Args...> args_;
};

// An object of a class derived from ProcessType, in the process that it was sent to.
template <class X>
class TypeBody final : public ProcessBody {
 public:
  explicit TypeBody(wire::Reader& reader) {
    if constexpr (MemberSerialize<X> || FreeSerialize<X>) wire::load_into(reader, object_);
  }
  void run() override { object_.run(); }
  Process* process() override { return &object_; }

 private:
  X object_;
};

// Base: Process, which is not complete here.
template <class Base, class X>
const ProcessImage& save_object(const X& object, wire::Writer& writer) {
  if constexpr (!std::is_default_constructible_v<X>) {
    detail::refuse_to_send(
        "a class derived from brood::ProcessType needs a default constructor, with which the other process begins");
  } else if constexpr (MemberSerialize<X> || FreeSerialize<X>) {
    wire::save(writer, object);
    return ImageOf<TypeBody<X>>::image;
  } else if constexpr (sizeof(X) == sizeof(Base)) {
    return ImageOf<TypeBody<X>>::image;
  } else {
    detail::refuse_to_send(
        "a class derived from brood::ProcessType that has members needs a `template <class A> void serialize(A&)`, "
        "which says which of them the other process gets");
  }
}

template <class F, class... Args>
ProcessBodyOwner make_process_body(F&& f, Args&&... args) {
  static_assert(std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>,
                "brood::Process: f cannot be called with copies of these arguments as rvalues; use std::ref for a "
                "parameter that is an lvalue reference");
  return ProcessBodyOwner(new BoundBody<std::decay_t<F>, std::decay_t<Args>...>(std::in_place, std::forward<F>(f),
                                                                                std::forward<Args>(args)...));
}

}  // namespace detail
}  // namespace brood
