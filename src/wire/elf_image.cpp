#include "wire/elf_image.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

namespace brood::wire {
namespace {

using Header = ElfW(Phdr);

constexpr std::size_t kLargestNotes = 64 * 1024;
constexpr std::size_t kLongestBuildId = 64;

std::string to_hex(std::span<const unsigned char> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

// Goes through the notes of one segment; empty when there is no build-id among them.
std::string build_id_in(std::span<const unsigned char> notes, std::size_t alignment) {
  const auto round_up = [&](std::size_t size) { return (size + alignment - 1) / alignment * alignment; };
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes.data(), sizeof(note));
    const std::size_t name_end = sizeof(note) + note.n_namesz;
    const std::size_t start = round_up(name_end);
    if (start > notes.size() || note.n_descsz > notes.size() - start) return {};
    const bool is_gnu = note.n_namesz == 4 && std::memcmp(notes.data() + sizeof(note), "GNU", 4) == 0;
    if (is_gnu && note.n_type == NT_GNU_BUILD_ID && note.n_descsz != 0 && note.n_descsz <= kLongestBuildId) {
      return to_hex(notes.subspan(start, note.n_descsz));
    }
    const std::size_t next = round_up(start + note.n_descsz);
    if (next > notes.size()) return {};
    notes = notes.subspan(next);
  }
  return {};
}

std::string build_id_of(ProgramHeaders headers, const ReadImage& read) {
  for (const Header& header : headers) {
    if (header.p_type != PT_NOTE || header.p_filesz > kLargestNotes) continue;
    std::vector<unsigned char> notes(header.p_filesz);
    if (!read(header.p_vaddr, notes.data(), notes.size())) continue;
    std::string id = build_id_in(notes, header.p_align == 8 ? 8 : 4);
    if (!id.empty()) return id;
  }
  return {};
}

class Hash {
 public:
  void add(std::uint64_t value) { state_ = (state_ ^ value) * 0x100000001b3U ^ (state_ >> 29); }
  void add(std::span<const unsigned char> bytes) {
    for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
      std::uint64_t value;
      std::memcpy(&value, bytes.data(), sizeof(value));
      add(value);
    }
    for (const unsigned char byte : bytes) add(byte);
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325U;
};

// Code is left out: a debugger's breakpoints change it.
bool is_read_only_data(const Header& header) {
  return header.p_type == PT_LOAD && (header.p_flags & PF_R) != 0 && (header.p_flags & (PF_W | PF_X)) == 0;
}

std::string layout_hash(ProgramHeaders headers, const ReadImage& read) {
  Hash hash;
  for (const Header& header : headers) {
    for (const std::uint64_t field :
         {std::uint64_t{header.p_type}, std::uint64_t{header.p_flags}, std::uint64_t{header.p_offset},
          std::uint64_t{header.p_vaddr}, std::uint64_t{header.p_filesz}, std::uint64_t{header.p_memsz}}) {
      hash.add(field);
    }
    if (!is_read_only_data(header)) continue;
    std::array<unsigned char, 4096> block;
    for (std::uint64_t done = 0; done < header.p_filesz; done += block.size()) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), header.p_filesz - done));
      if (!read(header.p_vaddr + done, block.data(), size)) break;
      hash.add(std::span(block).first(size));
    }
  }
  std::array<unsigned char, 8> bytes;
  const std::uint64_t value = hash.value();
  std::memcpy(bytes.data(), &value, sizeof(value));
  return "layout-" + to_hex(bytes);
}

bool read_at(std::istream& file, std::uint64_t offset, void* to, std::size_t size) {
  file.clear();
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(static_cast<char*>(to), static_cast<std::streamsize>(size));
  return file.good();
}

}  // namespace

std::string identity_of(ProgramHeaders headers, const ReadImage& read) {
  std::string id = build_id_of(headers, read);
  return id.empty() ? layout_hash(headers, read) : id;
}

std::string identity_of_file(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return {};  // to open a pipe may take for ever
  std::ifstream file(path, std::ios::binary);
  return identity_of_file(file);
}

std::string identity_of_file(std::istream& file) {
  ElfW(Ehdr) start;
  if (!file || !read_at(file, 0, &start, sizeof(start))) return {};
  const bool is_ours = std::memcmp(start.e_ident, ELFMAG, SELFMAG) == 0 &&
                       start.e_ident[EI_CLASS] == (sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32) &&
                       start.e_phentsize == sizeof(Header) && start.e_phnum < 1000;
  if (!is_ours) return {};
  std::vector<Header> headers(start.e_phnum);
  if (!read_at(file, start.e_phoff, headers.data(), headers.size() * sizeof(Header))) return {};
  return identity_of(headers, [&](std::uint64_t address, void* to, std::size_t size) {
    for (const Header& header : headers) {
      if (header.p_type != PT_LOAD || address < header.p_vaddr) continue;
      const std::uint64_t within = address - header.p_vaddr;
      if (within > header.p_filesz || size > header.p_filesz - within) continue;
      return read_at(file, header.p_offset + within, to, size);
    }
    return false;
  });
}

}  // namespace brood::wire
