# cubinet_embed_templates(<target> <folder>...)
#
# Compiles the kernel templates below each <folder> (one folder each, with a manifest.json) into
# <target>, which links cubinet::jit; jit::get_kernel finds them by name. They are checked while
# building, and embedded again when a file below a <folder> changes, appears or goes. They may
# include the shipped "common/..." headers. A static library brings them into whatever links it.
function(cubinet_embed_templates target)
  # SHIPPED is for the library itself, FUNCTION for the command's own: their tables are linked, not
  # registered.
  cmake_parse_arguments(PARSE_ARGV 1 arg "SHIPPED" "FUNCTION" "")
  if(NOT arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "cubinet_embed_templates(${target}): no folder given")
  endif()

  set(folders)
  set(relative_folders)
  foreach(folder IN LISTS arg_UNPARSED_ARGUMENTS)
    cmake_path(ABSOLUTE_PATH folder BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE)
    if(NOT IS_DIRECTORY "${folder}")
      message(FATAL_ERROR "cubinet_embed_templates(${target}): ${folder} is no folder")
    endif()
    list(APPEND folders "${folder}")
    cmake_path(RELATIVE_PATH folder BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
    list(APPEND relative_folders "${folder}")
  endforeach()
  set(read_folders ${folders})
  set(mode --shipped)
  if(NOT arg_SHIPPED)
    list(APPEND read_folders "${cubinet_TEMPLATE_DIR}/common")
    # Not of absolute paths: the same sources make the same binary anywhere.
    string(MD5 anchor "${relative_folders}")
    string(SUBSTRING "${anchor}" 0 8 anchor)
    string(MAKE_C_IDENTIFIER "cubinet_templates_${PROJECT_NAME}_${target}_${anchor}" anchor)
    set(mode --register ${anchor} --include-root "${cubinet_TEMPLATE_DIR}")
    if(arg_FUNCTION)
      # Those of the command may include shipped templates too.
      list(APPEND read_folders "${cubinet_TEMPLATE_DIR}")
      set(mode --function ${arg_FUNCTION} --include-root "${cubinet_TEMPLATE_DIR}")
    endif()
  endif()

  set(inputs)
  foreach(folder IN LISTS read_folders)
    file(GLOB_RECURSE found CONFIGURE_DEPENDS LIST_DIRECTORIES OFF "${folder}/*")
    list(APPEND inputs ${found})
  endforeach()

  string(MD5 digest "${folders}")
  string(SUBSTRING "${digest}" 0 8 digest)
  set(output "${CMAKE_CURRENT_BINARY_DIR}/cubinet_embedded/${target}_${digest}.cpp")
  file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/cubinet_embedded")
  add_custom_command(
    OUTPUT "${output}"
    COMMAND cubinet::embed --output "${output}" ${mode} ${folders}
    DEPENDS cubinet::embed ${inputs}
    COMMENT "Embedding kernel templates into ${target}"
    VERBATIM)
  target_sources(${target} PRIVATE "${output}")

  get_target_property(type ${target} TYPE)
  if(type STREQUAL "STATIC_LIBRARY" AND NOT arg_SHIPPED AND NOT arg_FUNCTION)
    # Nothing else asks for the object, so a linker would leave it in the archive.
    target_link_options(${target} INTERFACE "LINKER:--undefined=${anchor}")
  endif()
endfunction()
