// Which of the archive's encodings a type uses.
//
// Standard types are recognized by their shape, not by their name: their headers are not included here, and types of
// the same shape from other libraries work as well.
#pragma once

#include <brood/detail/archive_members.hpp>

#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

namespace brood {

// Befriend it to keep serialize() and the default constructor private: `friend class brood::Access;`
class Access {
  template <class A, class T>
  static constexpr bool kPlain = requires(A& archive, T& value) {
    value.serialize(archive);
  };
  template <class A, class T>  // Boost's form, with the version of the class
  static constexpr bool kVersioned = requires(A& archive, T& value) {
    value.serialize(archive, 0U);
  };
  template <class T>
  static constexpr bool kDefault = requires {
    T();
  };

  template <class C, class... P>
  static C class_of(void (C::*)(P...));
  template <class C, class... P>
  static C class_of(void (C::*)(P...) const);

 public:
  template <class A, class T>
  requires(kPlain<A, T> || kVersioned<A, T>) static void serialize(A& archive, T& value) {
    if constexpr (kPlain<A, T>) {
      value.serialize(archive);
    } else {
      value.serialize(archive, 0U);
    }
  }

  template <class T>
  requires kDefault<T>
  static T make() { return T(); }

  // The class that declares T's serialize(): T, or a base of it.
  template <class A, class T>
  static auto serializer() -> decltype(class_of(&T::template serialize<A>));
};

}  // namespace brood

namespace brood::wire {
class Writer;
class Reader;
}  // namespace brood::wire

namespace brood::detail {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 UInt128;

enum class Kind {
  unsupported,
  boolean,
  number,  // integers, characters, floating point
  enumeration,
  c_array,  // T[N]
  custom,   // T::serialize(archive), or serialize(archive, value) found beside T
  path,     // std::filesystem::path
  bits,     // std::bitset
  complex,
  duration,
  time_point,
  array,  // std::array
  tuple,  // std::tuple, std::pair
  map,
  set,
  sequence,  // owns its elements and can grow
  view,      // refers to elements: can be saved, never loaded
  adaptor,   // std::stack, std::queue, std::priority_queue
  variant,
  expected,
  optional,
  pointer,  // std::unique_ptr, std::shared_ptr: owns one value or none
  empty,    // no state at all
  aggregate,
  valarray,  // std::valarray
};

// --- shapes ---------------------------------------------------------------------------------------------------------

template <class T>
concept MemberSerialize = requires(wire::Writer& archive, T& value) {
  Access::serialize(archive, value);
};

template <class T>
concept FreeSerialize = requires(wire::Writer& archive, T& value) {
  serialize(archive, value);
};

template <class T>
concept Iterable = requires(const T& v) {
  typename T::value_type;
  v.begin() != v.end();
};

template <class T>
concept PathLike = requires(const T& v) {
  typename T::string_type;
  v.native().size();
  v.lexically_normal();
};

template <class T>
concept BitsLike = requires(T& v) {
  v.set(std::size_t{}, true);
  v.test(std::size_t{});
  v.flip();
  v.to_ullong();
};

template <class T>
concept ComplexLike = requires(T& v) {
  typename T::value_type;
  v.real(typename T::value_type{});
  v.imag(typename T::value_type{});
};

template <class T>
concept DurationLike = requires(const T& v) {
  typename T::rep;
  typename T::period;
  v.count();
};

template <class T>
concept TimePointLike = requires(const T& v) {
  typename T::clock;
  typename T::duration;
  v.time_since_epoch();
};

template <class T>
concept TupleLike = requires {
  std::tuple_size<T>::value;
};

template <class T>
concept ValarrayLike = requires(T& v) {
  typename T::value_type;
  v.resize(v.size());
  v.cshift(1);
  v[v.size()];
};

template <class T>
concept ArrayLike = TupleLike<T> && Iterable<T>;

template <class T>
concept SetLike = Iterable<T> && requires(T& v, typename T::key_type& key) {
  v.emplace_hint(v.end(), std::move(key));
  v.clear();
};

template <class T>
concept MapLike = Iterable<T> && requires(T& v, typename T::key_type& key, typename T::mapped_type& mapped) {
  v.emplace_hint(v.end(), std::move(key), std::move(mapped));
  v.clear();
};

template <class T>
concept BackGrowing = requires(T& v, typename T::value_type& element) {
  v.push_back(std::move(element));
};

template <class T>
concept ForwardListLike = requires(T& v, typename T::value_type& element) {
  v.insert_after(v.before_begin(), std::move(element));
};

template <class T>
concept SequenceLike = Iterable<T> && requires(T& v) {
  v.clear();
} &&(BackGrowing<T> || ForwardListLike<T>);

// Elements side by side in memory, so that they can be taken as one block.
template <class T>
concept Contiguous = Iterable<T> && requires(const T& v) {
  v.size();
  requires std::is_lvalue_reference_v<decltype(*v.data())>;
  requires std::is_same_v < std::remove_cvref_t<decltype(*v.data())>,
  typename T::value_type > ;
};

// std::vector<bool> and its like: elements without an address.
template <class T>
concept PackedBools = std::is_same_v<typename T::value_type, bool> && !Contiguous<T> && requires(T & v) {
  v.flip();
};

template <class T>
concept ViewLike = Iterable<T> && requires(const T& v) {
  *v.data();
  v.size();
} && !requires(T & v) {
  v.clear();
};

template <class T>
concept AdaptorLike = requires(T& v) {
  typename T::container_type;
  v.pop();
  v.empty();
};

template <class T>
concept VariantLike = requires(const T& v) {
  v.index();
  v.valueless_by_exception();
};

template <class T>
concept ExpectedLike = requires(const T& v) {
  typename T::error_type;
  v.has_value();
  v.error();
};

template <class T>
concept OptionalLike = requires(T& v) {
  typename T::value_type;
  v.has_value();
  *v;
  v.reset();
};

template <class T>
concept UniqueLike = requires(T& v) {
  typename T::element_type;
  typename T::deleter_type;
  v.get();
  v.release();
};

template <class T>
concept SharedLike = requires(T& v) {
  typename T::element_type;
  v.get();
  v.use_count();
};

// --- classes derived from a type of a known shape -------------------------------------------------------------------

template <template <class...> class C, class... A>
C<A...> as_template(const C<A...>*);

// The class that T's shape comes from is a base of T, and T is larger: what T adds would be lost without a word.
template <class T>
constexpr bool loses_members() {
  if constexpr (requires { Access::serializer<wire::Writer, T>(); }) {
    return sizeof(decltype(Access::serializer<wire::Writer, T>())) != sizeof(T);
  } else if constexpr (!MemberSerialize<T> && requires { as_template(static_cast<const T*>(nullptr)); }) {
    return sizeof(decltype(as_template(static_cast<const T*>(nullptr)))) != sizeof(T);
  } else {
    return false;
  }
}

template <class T>
concept LosesMembers = loses_members<T>();

// Part of the spelling of a type, for the few types whose shape alone does not tell.
template <class T>
constexpr std::string_view spelling() {
  return __PRETTY_FUNCTION__;
}

// A smart pointer to one object, which it deletes in the usual way.
template <class T>
constexpr bool owns_one() {
  if constexpr (!requires(const T& v) { *v; } || std::is_void_v<typename T::element_type>) {
    return false;
  } else if constexpr (UniqueLike<T>) {
    return spelling<typename T::deleter_type>().find("default_delete<") != std::string_view::npos;
  } else {
    return true;
  }
}

// --- the choice -----------------------------------------------------------------------------------------------------

template <class T>
constexpr Kind kind_of_range() {
  if constexpr (MapLike<T>) {
    return Kind::map;
  } else if constexpr (SetLike<T>) {
    return Kind::set;
  } else if constexpr (SequenceLike<T>) {
    return Kind::sequence;
  } else if constexpr (ViewLike<T>) {
    return Kind::view;
  } else {
    return Kind::unsupported;
  }
}

template <class T>
constexpr Kind kind_of_vocabulary() {
  if constexpr (VariantLike<T>) {
    return Kind::variant;
  } else if constexpr (ExpectedLike<T>) {
    return Kind::expected;
  } else if constexpr (OptionalLike<T>) {
    return Kind::optional;
  } else if constexpr (UniqueLike<T> || SharedLike<T>) {
    return owns_one<T>() && !std::is_polymorphic_v<typename T::element_type> ? Kind::pointer : Kind::unsupported;
  } else if constexpr (AdaptorLike<T>) {
    return Kind::adaptor;
  } else if constexpr (DurationLike<T>) {
    return Kind::duration;
  } else if constexpr (TimePointLike<T>) {
    return Kind::time_point;
  } else if constexpr (ComplexLike<T>) {
    return Kind::complex;
  } else if constexpr (ValarrayLike<T>) {
    return Kind::valarray;
  } else if constexpr (BitsLike<T>) {
    return Kind::bits;
  } else if constexpr (std::is_empty_v<T> && std::is_default_constructible_v<T>) {
    return Kind::empty;
  } else {
    return Kind::unsupported;
  }
}

template <class T>
constexpr Kind kind_of_class() {
  if constexpr (FreeSerialize<T>) {
    return Kind::custom;
  } else if constexpr (MemberSerialize<T>) {
    return LosesMembers<T> ? Kind::unsupported : Kind::custom;
  } else if constexpr (ArrayLike<T>) {
    return Kind::array;
  } else if constexpr (TupleLike<T>) {
    return Kind::tuple;
  } else if constexpr (std::is_aggregate_v<T>) {
    if constexpr (kHasBase<T>) {
      return Kind::unsupported;
    } else {
      return kMembers<T> <= kMaxMembers ? Kind::aggregate : Kind::unsupported;
    }
  } else if constexpr (PathLike<T>) {
    return Kind::path;
  } else if constexpr (LosesMembers<T>) {
    return Kind::unsupported;
  } else if constexpr (Iterable<T>) {
    return kind_of_range<T>();
  } else {
    return kind_of_vocabulary<T>();
  }
}

template <class T>
constexpr Kind kind_of() {
  if constexpr (std::is_same_v<T, bool>) {
    return Kind::boolean;
  } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, Int128> || std::is_same_v<T, UInt128>) {
    return Kind::number;
  } else if constexpr (std::is_enum_v<T>) {
    return Kind::enumeration;
  } else if constexpr (std::is_bounded_array_v<T>) {
    return Kind::c_array;
  } else if constexpr (std::is_null_pointer_v<T>) {
    return Kind::empty;
  } else if constexpr (std::is_class_v<T>) {
    return kind_of_class<T>();
  } else {
    return Kind::unsupported;
  }
}

template <class T>
inline constexpr Kind kKind = std::is_volatile_v<T> ? Kind::unsupported : kind_of<std::remove_cv_t<T>>();

}  // namespace brood::detail
