// Calls to anything callable, without <functional>.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace brood::detail {

template <class Member, class Class, class Object, class... Args>
constexpr decltype(auto) invoke_member(Member Class::*member, Object&& object, Args&&... args) {
  using Plain = std::remove_cvref_t<Object>;
  if constexpr (std::is_base_of_v<Class, Plain>) {
    if constexpr (std::is_function_v<Member>) {
      return (static_cast<Object&&>(object).*member)(static_cast<Args&&>(args)...);
    } else {
      return (static_cast<Object&&>(object).*member);
    }
  } else if constexpr (std::is_function_v<Member>) {
    return ((*static_cast<Object&&>(object)).*member)(static_cast<Args&&>(args)...);
  } else {
    return ((*static_cast<Object&&>(object)).*member);
  }
}

template <class F, class... Args>
constexpr decltype(auto) invoke(F&& f, Args&&... args) {
  if constexpr (std::is_member_pointer_v<std::remove_cvref_t<F>>) {
    return invoke_member(f, static_cast<Args&&>(args)...);
  } else {
    return static_cast<F&&>(f)(static_cast<Args&&>(args)...);
  }
}

}  // namespace brood::detail
