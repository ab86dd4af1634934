// What library.cpp exports.
#pragma once

#include <string>

enum LibraryCallable { kLambda, kFunction, kBound, kMember };

struct Figure {
  int side = 3;
  int scaled(int by) const;
};

extern "C" {
// How the callable travels, as the library itself says it.
void define_in_library(int which, std::string& definition);
int library_function(int x, int y);
int library_build();
}
