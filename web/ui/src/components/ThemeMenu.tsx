import { setTheme, useTheme, type Theme } from "../theme/theme";
import { Icon, type IconName } from "./Icon";
import { Menu } from "./Menu";

const THEMES: readonly { theme: Theme; icon: IconName; label: string }[] = [
  { theme: "system", icon: "system", label: "As the system" },
  { theme: "light", icon: "sun", label: "Light" },
  { theme: "dark", icon: "moon", label: "Dark" },
];

export function ThemeMenu() {
  const current = useTheme();
  const icon = THEMES.find((entry) => entry.theme === current)?.icon ?? "system";
  return (
    <Menu label="Theme" className="icon-button" align="right" button={<><Icon name={icon} size={16} /><span className="visually-hidden">Theme</span></>}>
      {(close) => (
        <div className="w-44 p-1">
          {THEMES.map((entry) => (
            <button
              key={entry.theme}
              type="button"
              className="menu-item"
              aria-current={entry.theme === current}
              onClick={() => {
                setTheme(entry.theme);
                close();
              }}
            >
              <Icon name={entry.icon} />
              {entry.label}
            </button>
          ))}
        </div>
      )}
    </Menu>
  );
}
