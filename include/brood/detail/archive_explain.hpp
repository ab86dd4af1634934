// Compile-time errors that say what to do, and the entry points that raise them.
#pragma once

#include <brood/detail/archive_codec.hpp>

#include <type_traits>

namespace brood::detail {

template <class T>
concept FunctionLike = requires(const T& v) {
  v.target_type();
};

template <class T>
concept Callable = requires {
  &T::operator();
};

template <class T>
concept WeakLike = requires(const T& v) {
  v.lock();
  v.expired();
};

// One assertion per reason; instantiated only for a type that is refused.
template <class T>
constexpr void refuse_scalar() {
  using P = std::remove_pointer_t<T>;
  static_assert(!std::is_reference_v<T>, "brood: a reference cannot be archived. Use a value");
  static_assert(!std::is_volatile_v<T>, "brood: a volatile value cannot be archived. Copy it into a plain one");
  static_assert(!(std::is_pointer_v<T> && std::is_function_v<P>),
                "brood: a function pointer cannot be archived. Pass the function itself as the task, or send a number "
                "or enum that says which function is meant");
  static_assert(
      !(std::is_pointer_v<T> && !std::is_function_v<P>),
      "brood: a raw pointer cannot be archived. For text use std::string, for several objects std::vector, for "
      "one object std::unique_ptr, std::shared_ptr or std::optional");
  static_assert(!std::is_member_pointer_v<T>, "brood: a pointer to member cannot be archived");
  static_assert(!std::is_unbounded_array_v<T>, "brood: an array without size cannot be archived. Use std::vector");
  static_assert(!std::is_function_v<T>, "brood: a function cannot be archived. Pass it as the task");
  static_assert(!std::is_union_v<T>, "brood: a union cannot be archived. Use std::variant");
}

template <class T>
constexpr void refuse_owner() {
  using E = typename T::element_type;
  constexpr bool one = !std::is_void_v<E> && requires(const T& v) { *v; };
  static_assert(one,
                "brood: a smart pointer to an array or to void does not know how much it points to. Use std::vector");
  static_assert(
      !one || !std::is_polymorphic_v<E>,
      "brood: a smart pointer to a class with virtual functions would lose the derived part. Use std::variant, "
      "or a class with serialize() that knows its kinds");
  static_assert(
      !one || std::is_polymorphic_v<E> || owns_one<T>(),
      "brood: a std::unique_ptr with a deleter of its own cannot be archived. Wrap it in a class with serialize()");
}

template <class T>
constexpr void refuse_aggregate() {
  static_assert(!kHasBase<T>,
                "brood: the members of an aggregate with a base class cannot be listed. Make the base a "
                "member, or give the class serialize()");
  static_assert(kMembers<T> != kTooManyMembers,
                "brood: this aggregate has more than 32 members. Give it serialize(), or "
                "group its members in structs");
  static_assert(kMembers<T> != kUncountable,
                "brood: the members of this aggregate cannot be counted, because one has no default constructor beside "
                "others that are arrays or references. Give it serialize()");
}

template <class T>
constexpr void refuse_class() {
  if constexpr (UniqueLike<T> || SharedLike<T>) {
    refuse_owner<T>();
  } else if constexpr (std::is_aggregate_v<T> && !LosesMembers<T>) {
    refuse_aggregate<T>();
  } else {
    static_assert(!FunctionLike<T>,
                  "brood: std::function cannot be archived, it may hold anything. Pass the function "
                  "itself as the task, with brood::bind(f, args...) for arguments");
    static_assert(!WeakLike<T>, "brood: std::weak_ptr cannot be archived, it owns nothing. Use std::shared_ptr");
    static_assert(!std::is_polymorphic_v<T>,
                  "brood: a class with virtual functions needs serialize(): "
                  "`template <class A> void serialize(A& archive) { archive(a_, b_); }`");
    static_assert(!LosesMembers<T>,
                  "brood: this class inherits its container or its serialize() from a base, and its "
                  "own members would be lost. Give it a serialize() of its own");
    static_assert(
        FunctionLike<T> || !Callable<T>,
        "brood: a lambda with captures, or a function object without serialize(), cannot be archived. Pass it as "
        "the task, or give it serialize()");
    static_assert(FunctionLike<T> || WeakLike<T> || std::is_polymorphic_v<T> || LosesMembers<T> || Callable<T>,
                  "brood: this class does not say what it consists of. Give it "
                  "`template <class A> void serialize(A& archive) { archive(a_, b_); }` (private is fine with "
                  "`friend class brood::Access;`), or write `template <class A> void serialize(A& archive, T& value)` "
                  "beside it, or make it a plain aggregate");
  }
}

template <class T, Use U>
constexpr void refuse() {
  if constexpr (kKind<T> == Kind::view) {
    static_assert(kKind<T> != Kind::view,
                  "brood: a view (std::string_view, std::span) can be saved, but not loaded, since "
                  "nobody would own what it points to. Use std::string or std::vector");
  } else if constexpr (kKind<T> == Kind::c_array) {
    static_assert(kKind<T> != Kind::c_array,
                  "brood: a C array cannot be returned, nor be in an aggregate without default constructor. Use "
                  "std::array, or std::string for text");
  } else if constexpr (kKind<T> != Kind::unsupported) {
    static_assert(Makeable<T>,
                  "brood: to be loaded, this type needs a default constructor. It may be private, with "
                  "`friend class brood::Access;`. Otherwise send its parts and construct it on the other side");
    static_assert(
        !Makeable<T> || std::is_move_constructible_v<T>,
        "brood: to be loaded, this type must be movable. Otherwise load_into() one that exists, or send its parts");
  } else if constexpr (std::is_class_v<T>) {
    refuse_class<T>();
  } else {
    refuse_scalar<T>();
  }
}

template <class T, class... Seen>
inline constexpr bool kIsOneOf = (std::is_same_v<T, Seen> || ...);

// Walks down to the first part that is not supported and refuses that.
template <Use U, class T, class... Seen>
constexpr void refuse_part();

template <Use U, class... C, class... Seen>
constexpr void refuse_parts(Types<C...>, Types<Seen...>) {
  (refuse_part<U, std::remove_const_t<C>, Seen...>(), ...);
}

template <Use U, class T, class... Seen>
constexpr void refuse_part() {
  if constexpr (kIsOneOf<T, Seen...>) {
    return;
  } else if constexpr (!supported_alone<T>(U)) {
    refuse<T, U>();
  } else if constexpr (!supported<T>(U)) {
    refuse_parts<use_of_parts<T>(U)>(children<T>(), Types<T, Seen...>{});
  }
}

}  // namespace brood::detail

namespace brood::wire {

template <class T>
constexpr void explain() {
  using U = std::remove_cvref_t<T>;
  detail::refuse_part<detail::Use::save, U>();
  if constexpr (is_savable<U>()) detail::refuse_part<detail::Use::make, U>();
}

template <class T>
void save(Writer& writer, const T& value) {
  using U = std::remove_const_t<T>;
  if constexpr (is_savable<U>()) {
    detail::save_one<U>(writer, value);
  } else {
    detail::refuse_part<detail::Use::save, U>();
  }
}

template <class T>
T load(Reader& reader) {
  using U = std::remove_const_t<T>;
  if constexpr (detail::supported<U>(detail::Use::make)) {
    return detail::make_one<U>(reader);
  } else {
    detail::refuse_part<detail::Use::make, U>();
    reader.fail("unreachable");
  }
}

template <class T>
void load_into(Reader& reader, T& value) {
  if constexpr (detail::supported<T>(detail::Use::fill)) {
    detail::fill_one<T>(reader, value);
  } else {
    detail::refuse_part<detail::Use::fill, T>();
  }
}

}  // namespace brood::wire
