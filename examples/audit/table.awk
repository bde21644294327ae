# What the sections share. mawk, Debian's awk, has no sort of its own.

function mb(bytes) { return sprintf("%.1f", bytes / 1e6) }

function share(part, whole) { return whole > 0 ? sprintf("%.1f %%", 100 * part / whole) : "-" }

# Text in a cell of a Markdown table.
function cell(text) { gsub(/\|/, "\\|", text); return text }

function code(text) { return "`" text "`" }

# The names in `list` (a set) as text, at most `most` of them, in order of name.
function some(list, most,    name, names, count, i, text) {
    for (name in list) names[++count] = name
    sort_names(names, count)
    for (i = 1; i <= count && i <= most; i++) text = text (i > 1 ? ", " : "") names[i]
    return text (count > most ? ", and " count - most " more" : "")
}

function sort_names(names, count,    i, j, held) {
    for (i = 2; i <= count; i++) {
        held = names[i]
        for (j = i - 1; j > 0 && names[j] > held; j--) names[j + 1] = names[j]
        names[j + 1] = held
    }
}

# The names of the `most` greatest values into top[1 …], ties by name; returns how many.
function greatest(values, most, top,    name, count, i) {
    count = 0
    for (name in values) {
        if (count == most && !before(name, top[count], values)) continue
        for (i = count < most ? ++count : count; i > 1 && before(name, top[i - 1], values); i--) top[i] = top[i - 1]
        top[i] = name
    }
    return count
}

function before(a, b, values) { return values[a] > values[b] || (values[a] == values[b] && a < b) }
